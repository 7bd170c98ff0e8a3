"""The noise floor: white noise of known level comes back per band, with and without partials."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.analysis.framed_spectra import framed_spectra
from mechanical_ears.resynthesis.analysis.noise_floor import (
    BOUND_MARGIN_DB,
    MIN_DENSITY_DB,
    MIN_GUARD_BINS,
    frequencies_between_partials,
    noise_density,
    noise_upper_bound,
)
from mechanical_ears.resynthesis.control_map import BANDS, band_edges
from mechanical_ears.resynthesis.window_functions import nuttall

RATE = 16_000
DENSITY = -60 - 10 * np.log10(RATE / 2)  # dB, of noise of −60 dB
BELOW = band_edges()[1:] < 7500  # bands below half the sample rate


def white_noise(seconds=10.0, seed=0):
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.001 * noise).astype(np.float32)


def partials_of(frequency, seconds=10.0):
    """A note of 12 partials, each of 0.1, and their frequencies up to half the sample rate."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = sum(0.1 * np.sin(2 * np.pi * frequency * n * time + n) for n in range(1, 13))
    return sound.astype(np.float32), frequency * np.arange(1.0, 0.985 * RATE / 2 // frequency + 1)


def test_white_noise():
    spectra = framed_spectra(white_noise(), RATE, np.arange(0.1, 9.9, 0.02), 0.05)
    found = noise_density(spectra, np.array([7000.0])).mean(axis=0)
    np.testing.assert_allclose(found[BELOW], DENSITY, atol=1.0)  # dB
    assert found[BELOW].mean() == pytest.approx(DENSITY, abs=0.15)
    assert (found[band_edges()[:-1] >= RATE / 2] == MIN_DENSITY_DB).all()


@pytest.mark.parametrize("frequency", [200.0, 400.0, 800.0])  # bins are midway between partials
def test_white_noise_between_partials(frequency):
    sound, partials = partials_of(frequency)
    window = 4 / frequency
    spectra = framed_spectra(sound + white_noise(), RATE, np.arange(0.1, 9.9, 0.02), window)
    found = noise_density(spectra, partials).mean(axis=0)
    above = BELOW & (band_edges()[:-1] > frequency)
    np.testing.assert_allclose(found[above], DENSITY, atol=2.5)  # dB, 40 dB below each partial
    assert found[above].mean() == pytest.approx(DENSITY, abs=1.0)


def test_noise_that_moves_with_the_pitch():
    """At an octave higher, gaps between partials are found an octave higher."""
    sound, partials = partials_of(300.0)
    spectra = framed_spectra(sound, RATE, np.array([5.0]), 4 / 300)
    quiet = noise_density(spectra, partials)
    loud = noise_density(spectra, partials / 1.07, np.array([1.0]))  # reads partials
    assert quiet[0, 10:20].max() < loud[0, 10:20].max() - 20  # dB
    right = noise_density(spectra, partials / 1.07, np.array([1.07]))
    assert right[0, 10:20].max() < quiet[0, 10:20].max() + 3


def test_frequencies_between_partials():
    partials = np.array([100.0, 200.0, 300.0, 1000.0])
    found = frequencies_between_partials(partials, 2000.0, 0.04)
    distance = np.abs(found[:, None] - partials).min(axis=1) * 0.04
    assert distance.min() >= MIN_GUARD_BINS
    assert {150.0, 250.0, 650.0} <= set(found.tolist())  # midway
    assert found.max() < 2000
    assert (np.diff(found) >= 0).all()


def test_no_gap_between_partials():
    sound, _ = partials_of(100.0, 1.0)
    spectra = framed_spectra(sound, RATE, np.array([0.5]), 0.02)
    dense = np.arange(10.0, 8000, 10)
    assert (noise_density(spectra, dense) == MIN_DENSITY_DB).all()


def test_the_upper_bound():
    sound, partials = partials_of(150.0, 4.0)
    times = np.linspace(0, 4, 100)
    bound = noise_upper_bound(sound + white_noise(4.0), RATE, partials, 150.0, times, 3.0)
    inside = (times > 0.1) & (times < 3.0)
    assert np.isinf(bound[~inside]).all()
    assert bound.shape == (100, BANDS)
    above = BELOW & (band_edges()[:-1] > 150)
    found = bound[inside][:, above].mean(axis=0) - BOUND_MARGIN_DB
    np.testing.assert_allclose(found, DENSITY, atol=1.5)  # dB
    # deeper than what short windows find without any noise
    clean = noise_upper_bound(sound, RATE, partials, 150.0, times, 3.0)
    assert clean[inside][:, above].max() < DENSITY - 20
    assert np.isinf(noise_upper_bound(sound[:1000], RATE, partials, 150.0, times, 3.0)).all()


def test_nuttalls_window_gives_the_same_density():
    times = np.arange(0.3, 9.7, 0.05)
    spectra = framed_spectra(white_noise(), RATE, times, 0.256, nuttall)
    found = noise_density(spectra, np.array([7000.0]), None, 3.6).mean(axis=0)
    assert found[BELOW].mean() == pytest.approx(DENSITY, abs=0.2)
