"""Write src/mechanical_ears/corpus/sounding_offsets.csv: the sounding pitch of SoundFont presets.

    python benchmarks/label_sounding.py [FONT.sf2 …]

Of every melodic preset, each sixth key is rendered at velocity 100. A note's pitch is the one on
which at least 3 of 4 trackers agree (see ``tracking``); its offset is that pitch minus its key,
rounded to whole semitones. Trackers can also make the same error (a subharmonic of a bell, a loud
twelfth), so that the notes of a preset must confirm each other:

    an offset is confirmed if the next or previous note with an agreed pitch has the same one, and
    if at least three notes have it;
    it is valid from one confirmed note to the next if both have it, and from the outermost ones to
    the ends of the keyboard; between two different offsets it is unknown;
    it is unknown for all keys if fewer than half of the notes are confirmed;
    and for keys that would sound outside A0 to C8, the range of the trackers, it is unknown unless
    it is 0: for instance an organ stop that sounds an octave below its lowest keys.

Rows of instruments of other fonts than those given are kept.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.corpus.sounding_offsets import (
    COLUMNS,
    TABLE_FILE,
    SoundingRange,
    load_sounding_offsets,
)
from mechanical_ears.files import write_atomically
from mechanical_ears.note import Note
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, PITCH_COUNT
from tracking import NoteFolder

FOLDER = Path("/usr/share/sounds/sf2")
FONTS = (FOLDER / "FluidR3_GM.sf2", FOLDER / "MuseScore_General_Full.sf2")
KEYS = range(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1, 6)  # MIDI numbers
VELOCITY = 100
MIN_NOTES = 3  # that must have an offset
MIN_SHARE = 0.5  # of an instrument's notes that must be confirmed


def sounding_ranges(keys: Sequence[int], offsets: Sequence[int | None]) -> list[SoundingRange]:
    """Turn offsets of single notes into ranges of keys.

    Args:
        keys: MIDI numbers of an instrument's notes, ascending.
        offsets: sounding pitch minus key of each; None if the trackers disagree.

    Returns:
        Ranges that cover all keys 0..127 without overlap.
    """
    confirmed = _confirm(offsets)
    by_key = _extend(keys, confirmed)
    ranges = []
    for offset, run in groupby(range(PITCH_COUNT), key=by_key.__getitem__):
        covered = list(run)
        within = [each for key, each in zip(keys, confirmed, strict=True) if key in covered]
        agreeing = len(within) - within.count(None)
        ranges.append(SoundingRange(covered[0], covered[-1], offset, agreeing, len(within)))
    return ranges


def _extend(keys: Sequence[int], confirmed: Sequence[int | None]) -> list[int | None]:
    """The offset of every key, from those of the confirmed notes."""
    by_key: list[int | None] = [None] * PITCH_COUNT
    pairs = zip(keys, confirmed, strict=True)
    known = [(key, offset) for key, offset in pairs if offset is not None]
    if len(known) < MIN_SHARE * len(keys) or not known:
        return by_key
    ends = (0, known[0][1]), (PITCH_COUNT, known[-1][1])
    for (low, offset), (high, following) in pairwise([ends[0], *known, ends[1]]):
        stop = high if offset == following else low + 1
        by_key[low:stop] = [offset] * (stop - low)
    for key, offset in enumerate(by_key):
        if offset and not PIANO_MIN_PITCH <= key + offset <= PIANO_MAX_PITCH:
            by_key[key] = None
    return by_key


def _confirm(offsets: Sequence[int | None]) -> list[int | None]:
    """The confirmed offsets; None for the others."""
    known = [number for number, offset in enumerate(offsets) if offset is not None]
    confirmed: list[int | None] = [None] * len(offsets)
    for one, other in pairwise(known):
        if offsets[one] == offsets[other]:
            confirmed[one] = confirmed[other] = offsets[one]
    return [offset if confirmed.count(offset) >= MIN_NOTES else None for offset in confirmed]


def label_font(font: Path) -> dict[str, list[SoundingRange]]:
    """The ranges of all melodic presets of a font."""
    corpus = SoundFont(font, pitches=KEYS, velocities=[VELOCITY])
    notes = [entry.note for entry in corpus.scan() if entry.note is not None]
    folder = NoteFolder(f"sounding-{font.stem}", [note.sound for note in notes])
    pitches = folder.reference_pitches(_show_progress)
    by_instrument: dict[str, list[tuple[int, int | None]]] = {}
    for note, pitch in zip(notes, pitches, strict=True):
        by_instrument.setdefault(note.instrument, []).append((note.pitch, _offset(note, pitch)))
    return {
        name: sounding_ranges(*zip(*sorted(pairs, key=lambda pair: pair[0]), strict=True))
        for name, pairs in by_instrument.items()
    }


def _offset(note: Note, pitch: float) -> int | None:
    return None if np.isnan(pitch) else round(pitch - note.pitch)


def _show_progress(tracker: str, done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{tracker}: {done} of {total} notes", end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Label the fonts and write the table."""
    fonts = [Path(name) for name in sys.argv[1:]] or FONTS
    labelled = {name: ranges for font in fonts for name, ranges in label_font(font).items()}
    kept = load_sounding_offsets() if TABLE_FILE.exists() else {}
    table: dict[str, Sequence[SoundingRange]] = {**kept, **labelled}
    with (
        write_atomically(TABLE_FILE) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, ranges in sorted(table.items()):
            for keys in ranges:
                offset = "" if keys.offset is None else keys.offset
                numbers = (keys.lowest_key, keys.highest_key, offset, keys.agreeing, keys.notes)
                writer.writerow([name, *numbers])
    offsets = [keys.offset for ranges in table.values() for keys in ranges]
    print(f"{len(table)} instruments, {len(offsets)} ranges, {offsets.count(None)} unknown")


if __name__ == "__main__":
    main()
