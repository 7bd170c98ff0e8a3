"""Onsets: known positions after silence, noise and clicks; silence has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.sound import Sound


def late_sine(lead: int, rate: int, frequency: float = 440.0, seconds: float = 0.5):
    return np.concatenate([np.zeros(lead), 0.5 * Sound.sine(frequency, seconds, rate).samples])


def noise(samples: int, level: float, seed: int = 0):
    """White noise of ``level`` dBFS (root mean square)."""
    return 10 ** (level / 20) * np.random.default_rng(seed).standard_normal(samples)


def onset(samples, rate: int) -> int | None:
    return find_onset(samples.astype(np.float32), rate)


@given(
    lead=st.floats(0.1, 1),
    rate=st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000, 96_000]),
    frequency=st.floats(27.5, 3500),
    decibels=st.floats(-40, 0),
    offset=st.floats(-0.2, 0.2),
)
@settings(max_examples=30, deadline=None)
def test_after_silence(lead, rate, frequency, decibels, offset):
    samples = round(lead * rate)
    audio = late_sine(samples, rate, frequency) * 10 ** (decibels / 20)
    late = onset(audio + offset * 10 ** (decibels / 20), rate) - samples
    assert -1 <= late <= 0.001 * rate


@given(frequency=st.floats(27.5, 3500), rate=st.sampled_from([16_000, 44_100]))
@settings(max_examples=20, deadline=None)
def test_note_at_the_start(frequency, rate):
    assert onset(late_sine(0, rate, frequency), rate) <= rate / frequency / 4 + 1


@pytest.mark.parametrize("decibels", [40, 20, 10])
@pytest.mark.parametrize("frequency", [55.0, 440.0, 3000.0])
def test_after_noise(decibels, frequency):
    rate, lead = 16_000, 12_345
    audio = late_sine(lead, rate, frequency)
    audio += noise(len(audio), -9 - decibels)
    assert abs(onset(audio, rate) - lead) <= 0.008 * rate


def test_clicks_are_ignored():
    rate, lead = 16_000, 10_000
    audio = late_sine(lead, rate)
    for place, length in ((500, 1), (4000, 3), (9000, 8)):
        audio[place : place + length] = 0.9
    audio += noise(len(audio), -60)
    assert abs(onset(audio, rate) - lead) <= 16


def test_toy_notes_begin_at_once():
    for note in (Toy(12, instruments=12).note(index) for index in range(12)):
        samples = note.sound.samples
        loudest = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())[0]
        assert find_onset(samples, 16_000) <= loudest + 0.008 * 16_000


def test_a_steady_tone_in_noise_begins_at_the_start():
    audio = Sound.sine(440, 4).samples + noise(64_000, -23)
    assert onset(audio, 16_000) < 0.01 * 16_000


def test_a_short_note_in_a_long_recording():
    audio = np.zeros(160_000)
    audio[100_000:101_600] = 0.1 * Sound.sine(220, 0.1).samples
    assert abs(onset(audio, 16_000) - 100_000) <= 2


@pytest.mark.parametrize(
    "audio", [np.zeros(0), np.zeros(1), np.zeros(16_000), np.full(16_000, 0.5), np.ones(1)]
)
def test_silence_has_no_onset(audio):
    assert onset(audio, 16_000) is None


@pytest.mark.parametrize("samples", [2, 5, 31, 100, 513])
def test_tiny_recordings(samples):
    assert onset(noise(samples, -10), 16_000) in range(samples)
