"""What the shipped ears hear: key, sound, family, velocity, and how far their confidence is right.

    python benchmarks/listener.py [--store STORE]

Our own figures only, in a minute; `hearing.py` runs the peers beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness import ROOT, markdown_table, write_section
from mechanical_ears.corpus.opening import open_corpus
from mechanical_ears.corpus.store import Store
from mechanical_ears.listening.ears import Ears
from mechanical_ears.note import VELOCITIES, Note

DATA = ROOT.parent / "shared" / "data"
SETS = ("nsynth-dev", "spanish-guitar", "upright-piano-kw")
STORE_NOTES = 1000  # of the test side, evenly spread
NOTHING = -99  # MIDI number where no single pitch is heard
BINS = 10  # of confidence


def figures(ears: Ears, notes: Sequence[Note]) -> list[str]:
    """One row of the table."""
    heard = ears.listen([note.sound for note in notes])
    key = np.array([note.pitch for note in notes])
    told = np.array([NOTHING if hearing.pitch is None else hearing.pitch for hearing in heard])
    right = told == key
    family = [
        hearing.family == note.family
        for hearing, note in zip(heard, notes, strict=True)
        if note.family is not None
    ]
    velocity = [
        abs(_step(hearing.velocity or 0) - _step(note.velocity)) <= 1
        for hearing, note in zip(heard, notes, strict=True)
    ]
    sure = np.array([hearing.pitch_confidence for hearing in heard])
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    error = sum(
        abs(sure[bins == number].mean() - right[bins == number].mean()) * np.mean(bins == number)
        for number in np.unique(bins)
    )
    shares = (right.mean(), ((told - key) % 12 == 0).mean(), (told == NOTHING).mean())
    return [
        str(len(notes)),
        *(f"{share:.1%}" for share in shares),
        f"{np.mean(family):.1%}" if family else "–",
        f"{np.mean(velocity):.1%}",
        f"{error:.3f}",
    ]


def _step(velocity: int) -> int:
    return int(np.argmin([abs(velocity - step) for step in VELOCITIES]))


def main() -> None:
    """Hear all sets and write the section."""
    parser = argparse.ArgumentParser(description="what the shipped ears hear")
    parser.add_argument("--store", type=Path, help="a store with a test side")
    options = parser.parse_args()
    ears = Ears()
    rows = [[name, *figures(ears, list(open_corpus(DATA / name)))] for name in SETS]
    if options.store is not None:
        store = Store(options.store)
        places = store.rows("test")
        spread = places[:: max(1, len(places) // STORE_NOTES)]
        notes = [store.note(int(row)) for row in spread]
        rows.append(["test presets of the store", *figures(ears, notes)])
    header = ("", "notes", "key", "octave-blind", "no single pitch", "family", "velocity ±1 step")
    body = (
        "Sounds that the ears never heard. *Confidence error* is the expected calibration error of "
        "the key's confidence in ten bins; a note without a single pitch counts as wrong.\n\n"
        + markdown_table((*header, "confidence error"), rows)
    )
    command = "python benchmarks/listener.py --store STORE"
    write_section("listener", "The ears, first training", command, body)


if __name__ == "__main__":
    main()
