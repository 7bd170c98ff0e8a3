"""An imagined instrument as a folder: its notes, a contact sheet and ``instrument.json``.

    DIR/060-100.wav      MIDI pitch, MIDI velocity
    DIR/sheet.png        spectrograms of some of them, with what the ears hear
    DIR/instrument.json  and instrument.safetensors, if it has a residual

Everything is written beside DIR and moved there at the end: DIR is complete or does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mechanical_ears.deprecation import renamed_arguments
from mechanical_ears.errors import EarsError
from mechanical_ears.files import write_folder_atomically
from mechanical_ears.imagining.instrument import FILE, ImaginedInstrument
from mechanical_ears.sound import Sound

SHEET = "sheet.png"
SHEET_KEYS: Final = 5
SHEET_VELOCITIES: Final = 3


@renamed_arguments(anew="force")
def write_folder(
    instrument: ImaginedInstrument,
    path: str | Path,
    *,
    pitches: Sequence[int],
    velocities: Sequence[int],
    seconds: float = 4.0,
    sample_rate: int = 48_000,
    suffix: str = ".wav",
    force: bool = False,
    motion: float = 0.0,
    channels: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write notes of an instrument.

    Args:
        instrument: the instrument.
        path: the folder, which must be empty or not exist.
        pitches: MIDI numbers 0..127.
        velocities: MIDI velocities 1..127, each played on every key.
        seconds: length of the notes.
        sample_rate: Hz.
        suffix: of the sound files.
        force: replace a folder that was written before.
        motion: how much the notes move, 0..2; see `ImaginedInstrument.note`.
        channels: 1, or 2 for stereo.
        progress: called with the number of notes that are done, and of all notes.

    Raises:
        EarsError: the folder is not empty, cannot be written, or a number is out of range.
    """
    from mechanical_ears.imagining.plots import instrument_picture
    from mechanical_ears.pictures import save_figure

    pairs = [(pitch, velocity) for pitch in pitches for velocity in velocities]
    if not pairs:
        raise EarsError("there are no notes to write", remedy="give pitches and velocities")
    columns, rows = _pick(pitches, SHEET_KEYS), _pick(velocities, SHEET_VELOCITIES)
    shown: dict[tuple[int, int], Sound] = {}
    sounds = instrument.notes(
        pairs, seconds, sample_rate, progress=progress, motion=motion, channels=channels
    )
    with write_folder_atomically(Path(path), force=force, marker=FILE) as folder:
        for (pitch, velocity), sound in zip(pairs, sounds, strict=True):
            sound.save(folder / f"{pitch:03d}-{velocity:03d}{suffix}")
            if pitch in columns and velocity in rows:
                shown[pitch, velocity] = sound
        save_figure(instrument_picture(instrument, columns, rows, shown), folder / SHEET)
        instrument.save(folder / FILE)
    return Path(path)


def _pick(values: Sequence[int], count: int) -> list[int]:
    """``count`` values evenly spread from the first to the last; all if there are fewer."""
    if len(values) <= count:
        return list(values)
    return [values[round(number * (len(values) - 1) / (count - 1))] for number in range(count)]
