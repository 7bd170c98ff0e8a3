"""Refined f0: tones of known frequency with noise, vibrato, stiffness, beats, few partials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.f0 import refine
from mechanical_ears.pitch import cents_between, hz_to_midi, midi_to_hz
from mechanical_ears.sound import Sound

RATES = (16_000, 22_050, 44_100, 48_000, 96_000)


def tone(
    frequency, seconds=1.0, rate=16_000, stiffness=0.0, decay=0.0, vibrato=0.0, numbers=range(1, 31)
):
    """Partials of amplitude 1/n; ``decay`` in 1/s, ``vibrato`` in cents to each side, 5.5 Hz."""
    time = np.arange(round(seconds * rate)) / rate
    warped = time + (2 ** (vibrato / 1200) - 1) * np.sin(2 * np.pi * 5.5 * time) / (2 * np.pi * 5.5)
    audio = np.zeros(len(time))
    for n in numbers:
        ratio = n * np.sqrt((1 + stiffness * n * n) / (1 + stiffness))
        if ratio * frequency < 0.48 * rate:
            phase = 2 * np.pi * ratio * frequency * warped + n * n
            audio += np.exp(-decay * (1 + 0.1 * n) * time) * np.sin(phase) / n
    return (0.3 * audio).astype(np.float32)


def with_noise(audio, decibels: float, seed: int = 0):
    level = np.sqrt(np.mean(audio**2)) * 10 ** (-decibels / 20)
    white = level * np.random.default_rng(seed).standard_normal(len(audio))
    return (audio + white).astype(np.float32)


def error(audio, rate: int, frequency: float, off: float = 0.0) -> float:
    """Cents by which the result is wrong where the given key is ``off`` cents off."""
    refined = refine(audio, rate, hz_to_midi(frequency) + off / 100)
    return abs(cents_between(refined.frequency, frequency))


frequencies = st.floats(np.log2(27.5), np.log2(4400)).map(np.exp2)
offs = st.floats(-60, 60)


@given(frequency=frequencies, off=offs, rate=st.sampled_from(RATES))
@settings(max_examples=25, deadline=None)
def test_sine(frequency, off, rate):
    assert error(Sound.sine(frequency, 1, rate).samples, rate, frequency, off) < 0.05


@given(frequency=frequencies, off=offs, decay=st.floats(0, 6), stiffness=st.floats(0, 1e-3))
@settings(max_examples=25, deadline=None)
def test_stiff_strings(frequency, off, decay, stiffness):
    audio = tone(frequency, 1, stiffness=stiffness, decay=decay)
    assert error(audio, 16_000, frequency, off) < 0.1
    if frequency < 1000:
        refined = refine(audio, 16_000, hz_to_midi(frequency))
        assert refined.inharmonicity == pytest.approx(stiffness, abs=2e-5, rel=0.02)
        assert refined.salience > 0.9


@given(frequency=frequencies, off=offs, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_tone_in_noise(frequency, off, seed):
    audio = with_noise(tone(frequency), 20, seed)
    assert error(audio, 16_000, frequency, off) < 0.5


@pytest.mark.parametrize("frequency", np.geomspace(55, 4186, 12))
@pytest.mark.parametrize("seconds", [0.1, 0.2])
def test_short_notes(frequency, seconds):
    assert error(tone(frequency, seconds), 16_000, frequency, 30) < 0.5


def test_short_notes_of_the_lowest_octave():
    errors = [error(tone(hertz, 0.1), 16_000, hertz) for hertz in np.geomspace(27.5, 55, 15)]
    assert np.median(errors) < 1


@pytest.mark.parametrize("frequency", np.geomspace(60, 2000, 6))
def test_vibrato_gives_its_mean(frequency):
    assert error(tone(frequency, 3, vibrato=20), 16_000, frequency, 25) < 0.1
    assert error(tone(frequency, 3, vibrato=50), 16_000, frequency, 25) < 5


@pytest.mark.parametrize("frequency", [55.0, 220.0, 880.0])
def test_beating_pair_gives_its_middle(frequency):
    cents = 2 ** (4 / 1200)
    pair = tone(frequency * cents, 3) + tone(frequency / cents, 3)
    assert error(pair, 16_000, frequency) < 3


@pytest.mark.parametrize("frequency", [30.0, 110.0, 300.0])
def test_missing_fundamental(frequency):
    audio = with_noise(tone(frequency, numbers=range(2, 12)), 20)
    assert error(audio, 16_000, frequency, -40) < 0.5


def test_inharmonic_modes_of_a_bar_are_ignored():
    for ratio in (2.03, 2.76, 3.93):
        audio = tone(220, numbers=[1]) + 0.7 * tone(220 * ratio, numbers=[1])
        assert error(audio, 16_000, 220) < 0.05


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_toy_notes(rate):
    notes = Toy(24, instruments=12, sample_rate=rate, seconds=2)
    errors = [
        error(scanned.note.sound.samples, rate, midi_to_hz(scanned.note.pitch), 20)
        for scanned in notes.scan()
    ]
    assert np.median(errors) < 0.01
    assert max(errors) < 1


def test_silence_around_the_note_does_not_matter():
    audio = np.zeros(64_000, np.float32)
    audio[30_000:33_200] = tone(196, 0.2)
    audio[100] = 0.9
    assert error(audio, 16_000, 196) < 0.5


def test_salience_of_tones_noise_and_other_keys():
    assert refine(tone(220), 16_000, 57).salience > 0.99
    assert refine(with_noise(tone(220), 0), 16_000, 57).salience < 0.95
    assert refine(with_noise(np.zeros(16_000, np.float32) + 1e-3, 0), 16_000, 57).salience < 0.5
    assert refine(tone(220), 16_000, 60.5).salience < 0.3


@pytest.mark.parametrize(
    ("audio", "rate", "midi"),
    [
        (np.zeros(0, np.float32), 16_000, 60),
        (np.zeros(16_000, np.float32), 16_000, 60),
        (np.ones(1, np.float32), 16_000, 60),
        (tone(220), 1000, 80),  # above half the rate
    ],
)
def test_silence_and_too_low_rates_give_the_key(audio, rate, midi):
    refined = refine(audio, rate, midi)
    assert (refined.frequency, refined.salience) == (midi_to_hz(midi), 0.0)


@given(
    midi=st.floats(0, 127),
    samples=st.integers(0, 40_000),
    rate=st.sampled_from([1000, *RATES]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_noise_alone_stays_near_the_key(midi, samples, rate, seed):
    noise = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    refined = refine(noise, rate, midi)
    assert abs(cents_between(refined.frequency, midi_to_hz(midi))) <= 75.01
    assert 0 <= refined.salience <= 1
    assert 0 <= refined.inharmonicity <= 0.03


@pytest.mark.parametrize("samples", [16, 17, 60, 300])
def test_tiny_sounds_stay_near_the_key(samples):
    refined = refine(tone(220)[:samples], 16_000, 57)
    assert abs(cents_between(refined.frequency, 220)) <= 75.01
    assert 0 <= refined.salience <= 1
