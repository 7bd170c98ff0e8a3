"""Frequencies of partials: known stiffness, divisor, offsets and modes come back."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.listening.f0 import RefinedPitch
from mechanical_ears.resynthesis.analysis.partial_frequencies import (
    PartialSeries,
    find_deviations,
    find_partial_series,
    long_spectrum,
)
from mechanical_ears.resynthesis.control_map import MODES, SINGLES, stiff_string_ratios

RATE = 44_100


def spectrum_of(frequencies, amplitudes=None, seconds=2.0):
    time = np.arange(round(seconds * RATE)) / RATE
    amplitudes = 0.1 / np.arange(1, len(frequencies) + 1) if amplitudes is None else amplitudes
    pairs = enumerate(zip(frequencies, amplitudes, strict=True))
    sound = sum(a * np.sin(2 * np.pi * f * time + n) for n, (f, a) in pairs)
    return long_spectrum(sound.astype(np.float32), RATE)


def test_the_long_spectrum_shows_amplitudes():
    spectrum = spectrum_of([440.0, 1000.0], [0.3, 0.05])
    for frequency, amplitude in ((440.0, 0.3), (1000.0, 0.05)):
        found = spectrum.magnitudes[round(frequency / spectrum.bin_width)]
        assert found == pytest.approx(amplitude, rel=0.02)


def test_the_loudest_second_is_chosen():
    sound = np.zeros(5 * RATE, dtype=np.float32)
    sound[3 * RATE : 4 * RATE] = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    spectrum = long_spectrum(sound, RATE)
    assert spectrum.magnitudes.max() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("inharmonicity", [1e-4, 4e-4, 2e-3])
def test_a_stiff_string_is_recognised(inharmonicity):
    partials = 110 * stiff_string_ratios(np.arange(1.0, 31), inharmonicity)
    found = find_partial_series(spectrum_of(partials), RefinedPitch(110.0, inharmonicity, 1.0))
    assert found == PartialSeries(110.0, 1, inharmonicity)
    np.testing.assert_allclose(found.frequencies[:30], partials)


def test_a_wrong_stiffness_is_dropped():
    spectrum = spectrum_of(110 * np.arange(1.0, 31))
    assert find_partial_series(spectrum, RefinedPitch(110.0, 4e-4, 1.0)).inharmonicity == 0


@pytest.mark.parametrize("divisor", [1, 2, 3, 4])
def test_the_divisor(divisor):
    partials = 440 / divisor * np.arange(1.0, 17)
    spectrum = spectrum_of(partials, np.tile([0.1, 0.03], 8))
    found = find_partial_series(spectrum, RefinedPitch(440.0, 0.0, 1.0))
    assert found.divisor == divisor
    assert found.spacing == pytest.approx(440 / divisor)


def test_offsets():
    cents = np.zeros(20)
    cents[[3, 8]] = 12, -9
    partials = 220 * np.arange(1.0, 21) * 2 ** (cents / 1200)
    series = PartialSeries(220.0, 1, 0.0)
    found = find_deviations(spectrum_of(partials), series, steady=True, mode_distance=14.0)
    np.testing.assert_allclose(found.offsets[:20], cents, atol=0.5)
    assert found.offsets.shape == (SINGLES,)
    assert not found.modes.any()
    moving = find_deviations(spectrum_of(partials), series, steady=False, mode_distance=14.0)
    assert not moving.offsets.any()


def test_modes():
    frequencies = [400.0, 800.0, 960.0, 1200.0, 1800.0]
    amplitudes = [0.1, 0.08, 0.06, 0.05, 0.04]
    series = PartialSeries(400.0, 1, 0.0)
    spectrum = spectrum_of(frequencies, amplitudes)
    found = find_deviations(spectrum, series, steady=True, mode_distance=14.0)
    assert found.modes.shape == (MODES,)
    assert found.modes[found.modes > 0].tolist() == pytest.approx([960, 1800], abs=0.5)
    near = find_deviations(spectrum, series, steady=True, mode_distance=201.0)
    assert not near.modes.any()
