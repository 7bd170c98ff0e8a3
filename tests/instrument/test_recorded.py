"""Instruments made of single recordings: the nearest one is resampled."""

import numpy as np
import pytest

from mechanical_ears.instrument.playable import Playable, nearest_note
from mechanical_ears.instrument.recorded import RecordedInstrument
from mechanical_ears.sound import Sound
from support.toy_instruments import peak_pitch

RATE = 48_000
SOUNDS = [Sound.sine(frequency, 1.0, RATE) for frequency in (220, 440)]


@pytest.fixture
def instrument():
    return RecordedInstrument("Sines", {(57, 100): 0, (69, 60): 1}, SOUNDS.__getitem__)


def test_it_plays_the_nearest_recording_at_any_pitch(instrument):
    assert isinstance(instrument, Playable)
    for pitch in (50, 60.5, 69, 81):
        samples = instrument.note(pitch, 100, 0.4, RATE).samples
        assert abs(peak_pitch(samples[2400:-2400], RATE, pitch) - pitch) < 0.01


def test_level_changes_by_a_quarter_of_a_decibel_per_step(instrument):
    loud = np.abs(instrument.note(57, 100, 0.5, RATE).samples).max()
    soft = np.abs(instrument.note(57, 60, 0.5, RATE).samples).max()
    assert 20 * np.log10(soft / loud) == pytest.approx(-10, abs=0.01)
    assert np.abs(instrument.note(57, 127, 0.5, RATE).samples).max() == pytest.approx(1)


def test_length_and_fade(instrument):
    long = instrument.note(57, 100, 2.0, RATE).samples
    assert len(long) == 2 * RATE
    assert not long[RATE + 100 :].any()
    cut = instrument.note(57, 100, 0.5, RATE).samples
    assert cut[-1] == 0
    np.testing.assert_array_equal(cut[: len(cut) - 960], long[: len(cut) - 960])


def test_nearest_note_prefers_the_key_then_the_velocity_then_the_first():
    notes = [(60, 100), (60, 40), (64, 80)]
    assert nearest_note(notes, 61.9, 80) == (60, 100)
    assert nearest_note(notes, 62.1, 1) == (64, 80)
    assert nearest_note(notes, 62, 80) == (64, 80)
    assert nearest_note(notes, 0, 70) == (60, 100)
