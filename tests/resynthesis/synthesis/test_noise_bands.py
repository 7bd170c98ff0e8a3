"""Noise: the levels asked for are rendered in each band."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.control_map import BANDS, SILENCE_DB, band_edges
from mechanical_ears.resynthesis.synthesis.noise_bands import block_samples, render_noise

SECONDS = 20
WIDTHS = 10 * np.log10(np.diff(band_edges()))


def make_noise(levels, rate, scale=1.0, seed=0):
    """20 s of noise with constant levels (40,), dB."""
    blocks = SECONDS * rate // (block_samples(rate) // 2) + 2
    tiled = np.tile(levels, (blocks, 1)).astype(np.float32)
    return render_noise(tiled, scale, SECONDS * rate, rate, seed)


def band_levels(sound, rate, edges):
    """Mean square in each band, dB."""
    power = 2 * np.abs(np.fft.rfft(sound)) ** 2 / len(sound) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / rate)
    band = np.searchsorted(edges, frequencies, side="right") - 1
    inside = (band >= 0) & (band < len(edges) - 1)
    sums = np.bincount(band[inside], power[inside], minlength=len(edges) - 1)
    return 10 * np.log10(np.maximum(sums, 1e-30))


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_levels_of_flat_noise(rate, scale):
    levels = -70 + WIDTHS
    found = band_levels(make_noise(levels, rate, scale), rate, band_edges() * scale)
    inside = band_edges()[1:] * scale < 0.49 * rate
    inside[:2] = False  # a bin of a block is 57 Hz wide
    np.testing.assert_allclose(found[inside], levels[inside], atol=0.5)  # dB


def test_levels_of_sloping_noise():
    """6 dB per octave: density is interpolated between the middles of bands."""
    middles = (band_edges()[1:] + band_edges()[:-1]) / 2
    levels = -40 + WIDTHS - 6 * np.log2(middles / 100)
    found = band_levels(make_noise(levels, 44_100), 44_100, band_edges())
    np.testing.assert_allclose(found[6:], levels[6:], atol=0.8)  # dB


def test_levels_that_change():
    rate = 16_000
    blocks = SECONDS * rate // (block_samples(rate) // 2) + 2
    levels = np.tile(-40 + WIDTHS, (blocks, 1))
    levels[blocks // 2 :] -= 20
    sound = render_noise(levels.astype(np.float32), 1.0, SECONDS * rate, rate, 0)
    halves = [part.std() for part in (sound[: 9 * rate], sound[11 * rate :])]
    assert 20 * np.log10(halves[0] / halves[1]) == pytest.approx(20, abs=0.3)


def test_only_bands_that_sound():
    levels = np.full(BANDS, 2 * SILENCE_DB)
    assert not make_noise(levels, 16_000).any()
    levels[20] = -30
    sound = make_noise(levels, 16_000)
    found = band_levels(sound, 16_000, band_edges())
    assert found[:15].max() < -70
    assert found[26:32].max() < -70


def test_no_offset_and_another_seed():
    sound = make_noise(-70 + WIDTHS, 16_000)
    assert abs(sound.mean()) < 1e-4 * sound.std()
    again, other = (make_noise(-70 + WIDTHS, 16_000, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(sound, again)
    assert abs(np.corrcoef(sound, other)[0, 1]) < 0.02
