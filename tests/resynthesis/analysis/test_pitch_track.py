"""Pitch tracks: a known vibrato comes back; beats and noise are not movements of the pitch."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.analysis.pitch_track import track_pitch

RATE = 16_000
STEADY_HZ = 5.0


def moving_note(cents, frequency=330.0, partials=8):
    """Partials of a note whose pitch is ``cents`` (samples,) above its frequency."""
    phase = 2 * np.pi * np.cumsum(frequency * 2 ** (cents / 1200)) / RATE
    return sum(0.1 / n * np.sin(n * phase + n) for n in range(1, partials + 1)).astype(np.float32)


def clock(seconds=3.0):
    return np.arange(round(seconds * RATE)) / RATE


def track(sound, frequency=330.0):
    return track_pitch(sound, RATE, frequency, np.arange(1.0, 9.0), STEADY_HZ)


@pytest.mark.parametrize("frequency", [110.0, 330.0, 1000.0])
@pytest.mark.parametrize(("depth", "rate"), [(40, 5), (80, 3)])
def test_vibrato(frequency, depth, rate):
    time = clock()
    cents = depth * np.sin(2 * np.pi * rate * time)
    found = track(moving_note(cents, frequency), frequency)
    assert found.moves
    inside = np.linspace(0.2, 2.8, 300)
    errors = found.at(inside) - np.interp(inside, time, cents)
    assert np.sqrt((errors**2).mean()) < 0.1 * depth  # cents
    # the rate is exact
    spectrum = np.abs(np.fft.rfft(found.at(np.arange(0.5, 2.5, 0.01))))
    assert int(spectrum[1:].argmax()) + 1 == 2 * rate


def test_a_glide():
    time = clock()
    cents = np.clip(100 * (time - 1.5), -100, 100)
    found = track(moving_note(cents))
    inside = np.linspace(0.3, 2.7, 100)
    assert np.abs(found.at(inside) - np.interp(inside, time, cents)).max() < 5  # cents


def test_a_steady_note():
    found = track(moving_note(np.zeros(3 * RATE)))
    assert not found.moves
    assert found.at(clock()).max() == 0


def test_a_beat_is_no_vibrato():
    voices = [moving_note(np.zeros(3 * RATE), frequency) for frequency in (329.0, 331.0)]
    assert not track(voices[0] + np.float32(0.8) * voices[1]).moves


def test_noise_does_not_move():
    noise = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)
    assert np.abs(track(noise).cents).max() < 20  # cents


def test_too_short_or_too_high():
    assert not track(moving_note(50 * np.sin(clock(0.02) * 30))).moves
    assert not track_pitch(np.zeros(RATE, np.float32), RATE, 7900.0, np.ones(1), STEADY_HZ).moves
