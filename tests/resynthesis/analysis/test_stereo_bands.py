"""Measured differences between channels: of sounds with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.analysis.stereo_bands import measure_stereo
from mechanical_ears.resynthesis.control_map import band_edges
from mechanical_ears.sound import Sound

RATE = 48_000


def test_noise_of_known_correlation():
    common, own = np.random.default_rng(0).standard_normal((2, 12 * RATE)) * 0.1
    left, right = common + 0.5 * own, common - 0.5 * own
    found = measure_stereo(Sound(np.stack([left, right], axis=1), RATE))
    np.testing.assert_allclose(found.correlation[1:], 0.6, atol=0.1)
    np.testing.assert_allclose(found.side[1:], 20 * np.log10(0.5), atol=1.5)
    assert np.median(found.level_difference) < 0.5


def test_levels_and_phases_of_a_sine():
    time = np.arange(RATE) / RATE
    left = 0.2 * np.sin(2 * np.pi * 1000 * time)
    right = 0.1 * np.sin(2 * np.pi * 1000 * time + np.pi / 3)
    found = measure_stereo(Sound(np.stack([left, right], axis=1), RATE))
    band = np.searchsorted(band_edges(), 1000) - 1
    assert found.correlation[band] == pytest.approx(0.5, abs=1e-3)
    assert found.level_difference[band] == pytest.approx(6.02, abs=0.01)
    sides = abs(2 - np.exp(1j * np.pi / 3)) / abs(2 + np.exp(1j * np.pi / 3))
    assert found.side[band] == pytest.approx(20 * np.log10(sides), abs=0.01)
    assert np.isnan(found.side[band + 8])


def test_equal_channels_and_mono():
    samples = np.random.default_rng(0).standard_normal(RATE) * 0.1
    found = measure_stereo(Sound(np.stack([samples, samples], axis=1), RATE))
    np.testing.assert_allclose(found.correlation[1:], 1)
    np.testing.assert_array_equal(found.side[1:], -60)
    with pytest.raises(ValueError, match="1 channels"):
        measure_stereo(Sound(samples, RATE))
