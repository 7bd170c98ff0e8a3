"""Warped time: the integral of the pitch."""

from __future__ import annotations

import numpy as np

from mechanical_ears.resynthesis.time_warp import warp_time


def test_a_steady_pitch_leaves_time_alone():
    times = np.linspace(0, 2, 50)
    assert warp_time(np.array([0.0, 2.0]), np.zeros(2), times) is times


def test_a_constant_shift():
    times = np.linspace(0, 2, 50)
    warped = warp_time(np.array([0.0, 2.0]), np.full(2, 700.0), times)
    np.testing.assert_allclose(warped, times * 2 ** (700 / 1200), atol=1e-9)


def test_a_glide():
    """c(t) = k t: u(t) = (2^(k t / 1200) − 1) · 1200 / (k ln 2)."""
    times = np.linspace(-0.1, 3, 70)
    warped = warp_time(np.array([0.0, 3.0]), np.array([0.0, 300.0]), times)
    rate = 100 * np.log(2) / 1200
    expected = np.where(times < 0, times, np.expm1(rate * times) / rate)
    np.testing.assert_allclose(warped, expected, atol=1e-6)


def test_vibrato_has_the_phase_of_its_frequency():
    """The phase 2π f u(t) is that of a sine whose frequency is summed sample by sample."""
    rate = 48_000
    times = np.arange(2 * rate) / rate
    track = np.linspace(0, 2, 400)
    cents = 40 * np.sin(2 * np.pi * 5 * track)
    warped = warp_time(track, cents, times)
    frequency = 2 ** (np.interp(times, track, cents) / 1200)
    summed = np.concatenate([[0], np.cumsum((frequency[1:] + frequency[:-1]) / 2)]) / rate
    assert np.abs(330 * (warped - summed)).max() < 1e-3  # turns
