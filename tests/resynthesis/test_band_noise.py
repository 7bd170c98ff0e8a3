"""Movement in bands: what is drawn is measured again, and smoothing keeps what is smooth."""

import numpy as np
import pytest

from mechanical_ears.resynthesis.band_noise import (
    BAND_EDGES,
    BANDS,
    STEP_SECONDS,
    measure_bands,
    power_spectrum,
    random_movement,
    smooth,
)

COUNT = 4000


def test_a_sine_is_measured_in_its_band():
    """The root mean square of a sine of amplitude 3 is 3 / √2."""
    time = np.arange(COUNT) * STEP_SECONDS
    bands = measure_bands(3 * np.sin(2 * np.pi * 5.7 * time))
    assert bands[4] == pytest.approx(3 / np.sqrt(2), rel=0.01)
    assert np.delete(bands, 4).max() < 0.02


def test_bins_sum_to_the_mean_square():
    noise = np.random.default_rng(1).standard_normal((8, COUNT))
    assert power_spectrum(noise)[1].sum(axis=-1).mean() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("count", [500, 511, COUNT])
def test_what_is_drawn_has_the_root_mean_squares_given(count):
    wanted = np.linspace(1, 3, BANDS) * np.array([[1.0], [0.2]])
    drawn = random_movement(wanted, count, np.random.default_rng(0))
    frequencies = np.fft.rfftfreq(count, STEP_SECONDS)
    power = 2 * np.abs(np.fft.rfft(drawn)) ** 2 / count**2
    for band in range(BANDS):
        inside = (frequencies >= BAND_EDGES[band]) & (frequencies < BAND_EDGES[band + 1])
        if inside.any():
            measured = np.sqrt(power[:, inside].sum(axis=1))
            np.testing.assert_allclose(measured, wanted[:, band], rtol=1e-9)


def test_what_is_drawn_is_measured_again():
    wanted = np.linspace(3, 1, BANDS)
    drawn = random_movement(np.tile(wanted, (40, 1)), COUNT, np.random.default_rng(0))
    measured = np.sqrt((measure_bands(drawn) ** 2).mean(axis=0))
    np.testing.assert_allclose(measured, wanted, rtol=0.08)


def test_the_seed_decides():
    bands = np.ones(BANDS)
    first, same, other = (
        random_movement(bands, 500, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.5


def test_bands_that_were_not_sampled_continue_the_slower_ones():
    time = np.arange(COUNT) * STEP_SECONDS
    bands = measure_bands(np.sin(2 * np.pi * 10 * time), max_frequency=14.0)
    assert bands[7] == pytest.approx(0.6 * bands[6])
    assert bands[8] == pytest.approx(0.6**2 * bands[6])


def test_smoothing_keeps_a_slope_and_removes_vibrato():
    time = np.arange(500) * STEP_SECONDS
    slope = np.stack([3 - 2 * time, 1 + time])
    np.testing.assert_allclose(smooth(slope, 0.25), slope, atol=1e-9)
    vibrato = np.sin(2 * np.pi * 5 * time)
    assert np.abs(smooth(slope + vibrato, 0.25) - slope)[:, 100:-100].max() < 0.01


def test_smoothing_leaves_what_is_before_its_start():
    rows = np.random.default_rng(0).standard_normal((2, 400))
    smoothed = smooth(rows, 0.25, first=30)
    assert np.array_equal(smoothed[:, :30], rows[:, :30])
    assert smoothed[:, 30:].std() < 0.5 * rows.std()
