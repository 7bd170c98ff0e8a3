"""The bank of sines against direct sums, and sinc interpolation against the sine itself."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.synthesis.sine_bank import carriers, sinc_interpolate, sine_bank

FREQUENCIES = np.array([55.0, 440.0, 1234.5, 7600.0])


def render(amplitudes, hop, rate):
    """Sines with complex amplitudes (hops, partials) at each hop."""
    cosine, sine = carriers(FREQUENCIES, len(amplitudes), hop, rate)
    real, imaginary = amplitudes.real.astype(np.float32), amplitudes.imag.astype(np.float32)
    return sine_bank(
        real * cosine - imaginary * sine, real * sine + imaginary * cosine, FREQUENCIES, hop, rate
    )


@pytest.mark.parametrize(("hop", "rate"), [(64, 16_000), (96, 48_000)])
def test_constant_amplitudes(hop, rate):
    amplitudes = np.array([0.3, 0.2j, -0.1 + 0.1j, 0.05])
    sound = render(np.tile(amplitudes, (100, 1)), hop, rate)
    time = np.arange(99 * hop) / rate
    angle = 2 * np.pi * np.outer(time, FREQUENCIES)
    expected = (np.exp(1j * angle) * amplitudes).real.sum(axis=1)
    assert sound.shape == time.shape
    np.testing.assert_allclose(sound, expected, atol=2e-5)


def test_amplitudes_are_linear_between_hops():
    hop, rate = 64, 16_000
    at_hops = np.random.default_rng(0).standard_normal((50, 4, 2)) @ [1, 1j]
    sound = render(at_hops, hop, rate)
    samples = np.arange(49 * hop)
    hops = np.arange(50) * hop
    angle = 2 * np.pi * np.outer(samples / rate, FREQUENCIES)
    amplitudes = np.stack([np.interp(samples, hops, part) for part in at_hops.T], axis=1)
    expected = (np.exp(1j * angle) * amplitudes).real.sum(axis=1)
    np.testing.assert_allclose(sound, expected, atol=1e-3)


def test_a_sound_read_between_its_samples():
    rate = 16_000
    positions = np.cumsum(np.random.default_rng(1).uniform(0.5, 1.5, 7000))
    for frequency in (100.0, 1000.0, 5000.0):
        sound = np.sin(2 * np.pi * frequency * np.arange(8000) / rate).astype(np.float32)
        inside = positions[(positions > 20) & (positions < 7980)]
        expected = np.sin(2 * np.pi * frequency * inside / rate)
        np.testing.assert_allclose(sinc_interpolate(sound, inside), expected, atol=4e-3)
    np.testing.assert_allclose(sinc_interpolate(sound, np.arange(8000.0)), sound, atol=1e-6)


def test_silence_before_and_after():
    found = sinc_interpolate(np.ones(100, np.float32), np.array([-50.0, 50.0, 500.0]))
    np.testing.assert_allclose(found, [0, 1, 0], atol=1e-3)
