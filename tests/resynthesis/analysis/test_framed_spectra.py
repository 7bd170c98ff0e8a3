"""Framed spectra: amplitudes, phases and noise levels that were put in come back."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.analysis.framed_spectra import framed_spectra, sinusoid_amplitudes
from mechanical_ears.resynthesis.window_functions import nuttall

RATE = 16_000


def sine(frequency, amplitude=0.3, phase=0.7, seconds=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.cos(2 * np.pi * frequency * time + phase)).astype(np.float32)


@pytest.mark.parametrize("frequency", [440.0, 443.1, 1000.0, 3217.9])
@pytest.mark.parametrize("window", [0.02, 0.05])
def test_amplitude_and_phase_of_a_sine(frequency, window):
    times = np.array([0.3, 0.4567, 0.6])
    spectra = framed_spectra(sine(frequency), RATE, times, window)
    powers = spectra.powers(np.array([frequency]))[:, 0]
    np.testing.assert_allclose(np.sqrt(powers), 0.3, rtol=1e-3)
    found = spectra.amplitudes(np.array([frequency]))[:, 0]
    middles = (np.rint(times * RATE) - 0.5) / RATE  # of even windows
    expected = 0.3 * np.exp(1j * (2 * np.pi * frequency * middles + 0.7))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_moving_frequency_is_read_where_it_is():
    sound = np.concatenate([sine(400.0), sine(600.0, 0.1)])
    spectra = framed_spectra(sound, RATE, np.array([0.5, 1.5]), 0.04)
    powers = spectra.powers(np.array([[400.0], [600.0]]))[:, 0]
    np.testing.assert_allclose(np.sqrt(powers), [0.3, 0.1], rtol=1e-3)


def test_a_product_gives_the_same_as_a_transform():
    times, frequencies = np.linspace(0.03, 0.97, 30), np.array([440.0, 880.0, 1330.0])
    sound = sine(440.0) + sine(880.0, 0.1, 2.0)
    transform = framed_spectra(sound, RATE, times, 0.05).amplitudes(frequencies)
    product = sinusoid_amplitudes(sound, RATE, times, 0.05, frequencies)
    np.testing.assert_allclose(product, transform, atol=1e-3)


def test_windows_beyond_the_ends_count_what_is_inside():
    spectra = framed_spectra(sine(1000.0), RATE, np.array([0.0, 0.005, 0.5, 1.0]), 0.04)
    found = np.sqrt(spectra.powers(np.array([1000.0]))[:, 0])
    np.testing.assert_allclose(found, 0.3, rtol=0.02)
    np.testing.assert_allclose(found[2], 0.3, rtol=1e-3)


@pytest.mark.parametrize("shape", [None, nuttall])
def test_noise_of_known_density(shape):
    density = 0.01**2 / (RATE / 2)  # mean square per Hz
    sound = (0.01 * np.random.default_rng(0).standard_normal(20 * RATE)).astype(np.float32)
    options = {} if shape is None else {"window_function": shape}
    spectra = framed_spectra(sound, RATE, np.arange(0.1, 19.9, 0.05), 0.05, **options)
    found = spectra.bin_powers(np.linspace(200, 7800, 100)).mean() / spectra.noise_gain
    assert 10 * np.log10(found / density) == pytest.approx(0, abs=0.1)  # dB
