"""Hz ↔ MIDI numbers ↔ cents ↔ note names, in twelve-tone equal temperament with A4 = 440 Hz.

    frequency = 440 · 2^((midi − 69) / 12)        midi = 69 + 12 · log2(frequency / 440)

One semitone is 100 cents; MIDI 60 is C4 (the MIDI Manufacturers' "middle C", as NSynth counts).
"""

from __future__ import annotations

import re
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

A4_FREQUENCY = 440.0  # Hz
A4_MIDI = 69  # MIDI number
PITCH_COUNT = 128  # MIDI numbers 0..127
PIANO_MIN_PITCH, PIANO_MAX_PITCH = 21, 108  # MIDI numbers of A0 and C8

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
_NAME_PATTERN = re.compile(r"([A-Ga-g])([#♯b♭]?)(-?\d{1,2})")


@overload
def midi_to_hz(midi: float) -> float: ...
@overload
def midi_to_hz(midi: ArrayLike) -> float | NDArray[np.float64]: ...
def midi_to_hz(midi: ArrayLike) -> float | NDArray[np.float64]:
    """Frequency in Hz of MIDI numbers, which may be fractional (69 → 440.0)."""
    hertz = A4_FREQUENCY * np.exp2((np.asarray(midi, dtype=np.float64) - A4_MIDI) / 12)
    return hertz if hertz.ndim else float(hertz)


@overload
def hz_to_midi(frequency: float) -> float: ...
@overload
def hz_to_midi(frequency: ArrayLike) -> float | NDArray[np.float64]: ...
def hz_to_midi(frequency: ArrayLike) -> float | NDArray[np.float64]:
    """Fractional MIDI number of frequencies in Hz (440 → 69.0).

    Raises:
        ValueError: a frequency is not above 0 Hz.
    """
    hertz = np.asarray(frequency, dtype=np.float64)
    if not np.all(hertz > 0):
        raise ValueError(f"frequency must be above 0 Hz, got {hertz.min():g} Hz")
    midi = A4_MIDI + 12 * np.log2(hertz / A4_FREQUENCY)
    return midi if midi.ndim else float(midi)


def cents_between(frequency: float, reference: float) -> float:
    """Interval in cents from ``reference`` (Hz) up to ``frequency`` (Hz)."""
    return 100 * (hz_to_midi(frequency) - hz_to_midi(reference))


def midi_to_name(midi: int) -> str:
    """Note name of a MIDI number, with sharps (60 → "C4", 70 → "A#4")."""
    octave, step = divmod(int(midi), 12)
    return f"{_NAMES[step]}{octave - 1}"


def name_to_midi(name: str) -> int:
    """MIDI number of a note name: letter, optional # or b, octave ("A#3" → 58, "Bb3" → 58).

    Raises:
        ValueError: the name does not have that form or is outside MIDI 0..127.
    """
    match = _NAME_PATTERN.fullmatch(name.strip())
    if match is None:
        raise ValueError(f'"{name}" is not a note name such as C4, A#3 or Bb3')
    letter, accidental, octave = match.groups()
    midi = 12 * (int(octave) + 1) + _STEPS[letter.upper()] + _ACCIDENTALS[accidental]
    if not 0 <= midi < PITCH_COUNT:
        raise ValueError(f'"{name}" is MIDI {midi}, outside 0..127')
    return midi
