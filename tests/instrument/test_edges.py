"""Edges of samples: silence is cut off, slow attacks stay, cuts are faded."""

import numpy as np
import pytest

from mechanical_ears.instrument.edges import fade_in, trim_decay, trim_silence
from mechanical_ears.listening.onset import find_onset

RATE = 48_000
TIME = np.arange(2 * RATE) / RATE


def tone(decibels=0.0):
    """A sine of 220 Hz at levels in dB, 2 s long."""
    sine = np.sin(2 * np.pi * 220 * TIME) * 10 ** (decibels / 20)
    return sine.astype(np.float32)[:, None]


SINE = tone()


def test_silence_before_a_note_is_cut_off():
    late = np.concatenate([np.zeros((RATE // 10, 1), np.float32), SINE])
    trimmed = trim_silence(late, RATE)
    assert len(late) - len(trimmed) == pytest.approx(RATE * 0.098, abs=RATE * 0.002)
    short = np.concatenate([np.zeros((RATE // 250, 1), np.float32), SINE])
    np.testing.assert_array_equal(trim_silence(short, RATE), short)


@pytest.mark.parametrize("level", [-10.0, -30.0])
def test_a_slow_attack_after_a_quiet_beginning_stays(level):
    """The ears take the first 0.3 s for the background."""
    attack = tone(np.interp(TIME, [0, 0.3, 0.31], [level, level, 0]))
    assert find_onset(attack[:, 0], RATE) > 0.25 * RATE
    np.testing.assert_array_equal(trim_silence(attack, RATE), attack)


def test_a_cut_into_a_note_is_faded_in():
    cosine = np.roll(SINE, -RATE // 880, axis=0)  # starts at its peak
    faded = fade_in(cosine, RATE)
    assert faded[0] == 0
    assert np.abs(np.diff(faded[:, 0])).max() < 0.06
    np.testing.assert_array_equal(faded[96:], cosine[96:])
    assert fade_in(SINE, RATE) is SINE


def test_trim_decay():
    decaying = tone(-60 * TIME)
    trimmed = trim_decay(decaying, RATE)
    assert len(trimmed) / RATE == pytest.approx(1.0, abs=0.1)  # 60 dB at 60 dB/s
    assert trimmed[-1, 0] == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(trimmed[: RATE // 2], decaying[: RATE // 2])


def test_the_fade_of_a_cut_note_is_longer_the_louder_it_is():
    """Falls of 6 dB/s and 20 dB/s, cut after 2 s: 48 and 20 dB above silence."""
    for rate, seconds in ((6, 0.37), (20, 0.18)):
        decaying = tone(-rate * TIME)
        trimmed = trim_decay(decaying, RATE)
        assert len(trimmed) == len(decaying)
        changed = np.flatnonzero(trimmed[:, 0] != decaying[:, 0])
        assert (len(TIME) - changed[0]) / RATE == pytest.approx(seconds, abs=0.02)
        assert trimmed[-1, 0] == pytest.approx(0, abs=1e-6)
