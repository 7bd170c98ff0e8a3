"""Write examples/notes: random notes of the test instruments, as FLAC.

    ears corpus build soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2 --limit 40000 -o STORE
    python examples/make_notes.py STORE

They are of the test side of the split, outside the training data of the article's network, and were
not selected by its predictions.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mechanical_ears.corpus.store import Store
from mechanical_ears.files import make_folder

NOTES = 24
MIN_VELOCITY = 75
FOLDER = Path(__file__).parent / "notes"


def main(store_path: str) -> None:
    """Select the notes, one of each test instrument in turn, without soft ones; write them."""
    store = Store(store_path)
    rng = np.random.default_rng(0)
    rows = store.rows("test")
    rows = rng.permutation(rows[store.velocity[rows] >= MIN_VELOCITY])
    instruments = np.unique(store.instrument[rows])
    groups = [rows[store.instrument[rows] == name] for name in instruments]
    selected = [group[turn] for turn in range(NOTES) for group in groups if turn < len(group)]
    make_folder(FOLDER)
    for row in selected[:NOTES]:
        note = store.note(int(row))
        bank, program = note.instrument.split("-")[1:]
        instrument = f"{note.family}_{note.source}_{int(bank + program):03d}"
        note.sound.save(FOLDER / f"{instrument}-{note.pitch:03d}-{note.velocity:03d}.flac")


if __name__ == "__main__":
    main(sys.argv[1])
