"""Writes src/mechanical_ears/corpus/sounding_offsets.csv: where each SoundFont preset sounds.

    python benchmarks/label_sounding.py [FONT.sf2 …]

Every melodic preset plays each sixth key at velocity 100. A note's pitch is what at least 3 of 4
trackers agree on (see ``tracking``), and its offset that pitch minus its key, rounded to whole
semitones. Trackers also err together (a subharmonic of a bell, a loud twelfth), so that the notes
of a preset must bear each other out:

    an offset counts where a neighbour among the agreeing notes has the same one, and where it
    does so on at least three notes in all;
    it holds from one note that counts to the next if both have it, and from the outermost ones to
    the ends of the keyboard; between two different ones it is unclear;
    it is unclear for all keys where fewer than half of the notes count;
    and keys that would sound beyond A0 to C8, where the trackers hear nothing, are unclear if
    they sound anywhere else than at the key: the organ stop that sounds an octave below.

Instruments that are not among the fonts given keep their rows.
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
FEWEST = 3  # notes that must have an offset
SHARE = 0.5  # of an instrument's notes that must count


def sounding_ranges(keys: Sequence[int], offsets: Sequence[int | None]) -> list[SoundingRange]:
    """From single notes to ranges of keys.

    Args:
        keys: MIDI numbers of an instrument's notes, ascending.
        offsets: sounding pitch minus key of each, None where the trackers disagree.

    Returns:
        Ranges that together cover all keys 0..127.
    """
    counted = _borne_out(offsets)
    by_key = _spread(keys, counted)
    ranges = []
    for offset, run in groupby(range(PITCH_COUNT), key=by_key.__getitem__):
        covered = list(run)
        told = [told for key, told in zip(keys, counted, strict=True) if key in covered]
        agreeing = len(told) - told.count(None)
        ranges.append(SoundingRange(covered[0], covered[-1], offset, agreeing, len(told)))
    return ranges


def _spread(keys: Sequence[int], counted: Sequence[int | None]) -> list[int | None]:
    """The offset of every key, from those of the notes that count."""
    by_key: list[int | None] = [None] * PITCH_COUNT
    known = [(key, offset) for key, offset in zip(keys, counted, strict=True) if offset is not None]
    if len(known) < SHARE * len(keys) or not known:
        return by_key
    ends = (0, known[0][1]), (PITCH_COUNT, known[-1][1])
    for (low, offset), (high, following) in pairwise([ends[0], *known, ends[1]]):
        stop = high if offset == following else low + 1
        by_key[low:stop] = [offset] * (stop - low)
    for key, offset in enumerate(by_key):
        if offset and not PIANO_MIN_PITCH <= key + offset <= PIANO_MAX_PITCH:
            by_key[key] = None
    return by_key


def _borne_out(offsets: Sequence[int | None]) -> list[int | None]:
    """The offsets that count; None for the others."""
    places = [place for place, offset in enumerate(offsets) if offset is not None]
    kept: list[int | None] = [None] * len(offsets)
    for one, other in pairwise(places):
        if offsets[one] == offsets[other]:
            kept[one] = kept[other] = offsets[one]
    return [offset if kept.count(offset) >= FEWEST else None for offset in kept]


def label(font: Path) -> dict[str, list[SoundingRange]]:
    """The ranges of all melodic presets of a font."""
    corpus = SoundFont(font, pitches=KEYS, velocities=[VELOCITY])
    notes = [scanned.note for scanned in corpus.scan() if scanned.note is not None]
    folder = NoteFolder(f"sounding-{font.stem}", [note.sound for note in notes])
    agreed = folder.agreed(_show)
    by_instrument: dict[str, list[tuple[int, int | None]]] = {}
    for note, pitch in zip(notes, agreed, strict=True):
        by_instrument.setdefault(note.instrument, []).append((note.pitch, _offset(note, pitch)))
    return {
        name: sounding_ranges(*zip(*sorted(heard, key=lambda pair: pair[0]), strict=True))
        for name, heard in by_instrument.items()
    }


def _offset(note: Note, pitch: float) -> int | None:
    return None if np.isnan(pitch) else round(pitch - note.pitch)


def _show(tracker: str, done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{tracker}: {done} of {total} notes", end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Hear the fonts and write the table."""
    fonts = [Path(name) for name in sys.argv[1:]] or FONTS
    labelled = {name: ranges for font in fonts for name, ranges in label(font).items()}
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
    print(f"{len(table)} instruments, {len(offsets)} ranges, {offsets.count(None)} unclear")


if __name__ == "__main__":
    main()
