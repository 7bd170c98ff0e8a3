"""Pitch: known values of equal temperament, and round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanical_ears.pitch import (
    PIANO_MAX_PITCH,
    PIANO_MIN_PITCH,
    PITCH_COUNT,
    cents_between,
    hz_to_midi,
    midi_to_hz,
    midi_to_name,
    name_to_midi,
)

KNOWN = [  # MIDI number, name, Hz (ISO 16 for A4, the rest from tables of equal temperament)
    (0, "C-1", 8.1758),
    (21, "A0", 27.5),
    (40, "E2", 82.4069),
    (60, "C4", 261.6256),
    (69, "A4", 440.0),
    (70, "A#4", 466.1638),
    (108, "C8", 4186.0090),
    (127, "G9", 12543.8540),
]


@pytest.mark.parametrize(("midi", "name", "frequency"), KNOWN)
def test_known_notes(midi: int, name: str, frequency: float) -> None:
    assert midi_to_hz(midi) == pytest.approx(frequency, abs=6e-5)
    assert hz_to_midi(frequency) == pytest.approx(midi, abs=2e-4)
    assert midi_to_name(midi) == name
    assert name_to_midi(name) == midi


@pytest.mark.parametrize(
    ("name", "midi"),
    [("Bb3", 58), ("A#3", 58), ("b♭3", 58), ("C♯4", 61), (" c4 ", 60), ("Cb4", 59), ("B#3", 60)],
)
def test_spellings(name: str, midi: int) -> None:
    assert name_to_midi(name) == midi


@pytest.mark.parametrize("name", ["", "H4", "C", "4", "C##4", "C4.5", "C#-", "Do4"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a note name"):
        name_to_midi(name)


@pytest.mark.parametrize(("name", "midi"), [("G#9", 128), ("Cb-1", -1), ("C-2", -12)])
def test_names_outside_midi_are_refused(name: str, midi: int) -> None:
    with pytest.raises(ValueError, match=f"is MIDI {midi}, outside 0..127"):
        name_to_midi(name)


@pytest.mark.parametrize("frequency", [0.0, -440.0, [440.0, 0.0], float("nan")])
def test_frequencies_not_above_zero_are_refused(frequency: object) -> None:
    with pytest.raises(ValueError, match="above 0 Hz"):
        hz_to_midi(frequency)  # type: ignore[call-overload]


def test_the_piano_has_88_keys_from_a0_to_c8() -> None:
    assert PIANO_MAX_PITCH - PIANO_MIN_PITCH + 1 == 88
    assert (midi_to_name(PIANO_MIN_PITCH), midi_to_name(PIANO_MAX_PITCH)) == ("A0", "C8")


def test_arrays_keep_their_shape() -> None:
    keys = np.arange(PITCH_COUNT).reshape(2, 64)
    hertz = midi_to_hz(keys)
    assert hertz.shape == (2, 64)
    np.testing.assert_allclose(hz_to_midi(hertz), keys, atol=1e-9)
    np.testing.assert_allclose(hertz.flat[12:] / hertz.flat[:-12], 2, rtol=1e-12)


def test_an_octave_is_1200_cents_and_a_fifth_about_702() -> None:
    assert cents_between(880, 440) == pytest.approx(1200)
    assert cents_between(330, 220) == pytest.approx(701.955, abs=1e-3)
    assert cents_between(220, 440) == pytest.approx(-1200)


@given(st.integers(0, PITCH_COUNT - 1))
def test_names_convert_to_midi_and_back(midi: int) -> None:
    assert name_to_midi(midi_to_name(midi)) == midi


@given(st.floats(0, 127))
def test_frequencies_convert_to_midi_and_back(midi: float) -> None:
    assert hz_to_midi(midi_to_hz(midi)) == pytest.approx(midi, abs=1e-9)


@given(st.floats(20, 20_000), st.floats(-2400, 2400))
def test_cents_add_up(frequency: float, cents: float) -> None:
    assert cents_between(frequency * 2 ** (cents / 1200), frequency) == pytest.approx(
        cents, abs=1e-6
    )
