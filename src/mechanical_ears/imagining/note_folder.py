"""An imagined instrument as a folder: its notes, a contact sheet and ``instrument.json``.

    DIR/060-100.wav      MIDI pitch, MIDI velocity
    DIR/sheet.png        spectrograms of some of them, with what the ears hear
    DIR/instrument.json  and instrument.safetensors, where it carries something of recordings

All of it is made beside DIR and moved there at the end: DIR is whole or not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mechanical_ears.errors import EarsError
from mechanical_ears.files import write_folder_atomically
from mechanical_ears.imagining.instrument import FILE, ImaginedInstrument
from mechanical_ears.sound import Sound

SHEET = "sheet.png"
COLUMNS: Final = 5  # keys on the sheet
ROWS: Final = 3  # velocities


def write_folder(
    instrument: ImaginedInstrument,
    path: str | Path,
    *,
    pitches: Sequence[int],
    velocities: Sequence[int],
    seconds: float = 4.0,
    sample_rate: int = 48_000,
    suffix: str = ".wav",
    anew: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write notes of an instrument.

    Args:
        instrument: which.
        path: the folder, which must be empty or not be there.
        pitches: MIDI numbers 0..127.
        velocities: MIDI velocities 1..127, each played on every key.
        seconds: length of the notes.
        sample_rate: Hz.
        suffix: of the sound files.
        anew: replace a folder that was written before.
        progress: told how many notes are done, and of how many.

    Raises:
        EarsError: the folder holds something, cannot be written, or a number is out of range.
    """
    from mechanical_ears.imagining.plots import instrument_picture
    from mechanical_ears.pictures import save_figure

    pairs = [(pitch, velocity) for pitch in pitches for velocity in velocities]
    if not pairs:
        raise EarsError("no note is asked for", remedy="give pitches and velocities")
    columns, rows = _some(pitches, COLUMNS), _some(velocities, ROWS)
    shown: dict[tuple[int, int], Sound] = {}
    sounds = instrument.notes(pairs, seconds, sample_rate, progress=progress)
    with write_folder_atomically(Path(path), force=anew, marker=FILE) as folder:
        for (pitch, velocity), sound in zip(pairs, sounds, strict=True):
            sound.save(folder / f"{pitch:03d}-{velocity:03d}{suffix}")
            if pitch in columns and velocity in rows:
                shown[pitch, velocity] = sound
        save_figure(instrument_picture(instrument, columns, rows, shown), folder / SHEET)
        instrument.save(folder / FILE)
    return Path(path)


def _some(values: Sequence[int], most: int) -> list[int]:
    """At most so many of the values, the first and the last among them, evenly spread."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
