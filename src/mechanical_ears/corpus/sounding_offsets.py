"""At which pitch an instrument sounds, which is not always that of its key.

    sounding pitch = key + offset        (MIDI numbers; offset −12 is an octave below the key)

A 16-foot organ stop sounds an octave below its key, a guitar harmonic one or two above; a bell or
a stack of fifths has no single pitch at all. ``sounding_offsets.csv`` has the offsets of the
melodic presets of FluidR3_GM and MuseScore_General_Full: for each instrument one row, or several
where the offset changes over the keyboard, with the keys of the range, the offset in semitones
(empty where it is unclear), the number of notes on which pitch trackers agreed and the number of
notes that they analysed. The trackers are other projects'; ``benchmarks/label_sounding.py`` renders
the notes, runs the trackers and writes the file.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE_FILE = Path(__file__).with_name("sounding_offsets.csv")
COLUMNS = ("instrument", "lowest_key", "highest_key", "offset_semitones", "agreeing_notes", "notes")


@dataclass(frozen=True)
class SoundingRange:
    """A range of keys of an instrument that sound at the same offset from the key.

    Attributes:
        lowest_key: MIDI number of the first key.
        highest_key: MIDI number of the last key.
        offset: sounding pitch minus key in semitones, or None if it is unclear.
        agreeing: number of notes in the range on whose pitch trackers agreed.
        notes: number of notes in the range that they analysed.
    """

    lowest_key: int
    highest_key: int
    offset: int | None
    agreeing: int
    notes: int


@cache
def load_sounding_offsets() -> dict[str, tuple[SoundingRange, ...]]:
    """Ranges of every instrument in the table, lowest keys first."""
    table: dict[str, list[SoundingRange]] = {}
    with TABLE_FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            low, high, offset, agreeing, notes = (row[name] for name in COLUMNS[1:])
            keys = SoundingRange(
                int(low), int(high), int(offset) if offset else None, int(agreeing), int(notes)
            )
            table.setdefault(row["instrument"], []).append(keys)
    return {name: tuple(ranges) for name, ranges in table.items()}


def sounding_offset(instrument: str, key: int) -> int | None:
    """Sounding pitch of an instrument minus the key, in semitones.

    Args:
        instrument: its name in a ``SoundFont`` corpus
            (``synth_lead_synthetic_fluidr3_gm-000-086``).
        key: MIDI number of the key.

    Returns:
        The offset in semitones; None if it is unclear or the instrument is not in the table.
    """
    for keys in load_sounding_offsets().get(instrument, ()):
        if keys.lowest_key <= key <= keys.highest_key:
            return keys.offset
    return None
