"""Write the notes in examples/notes: one of each held-out instrument, drawn by a seed, as FLAC.

    ears corpus build soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2 --limit 40000 -o STORE
    python examples/make_notes.py STORE

They are of the test side of the split, which the article's network never heard, and nobody chose
them by what it makes of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mechanical_ears.corpus.store import Store
from mechanical_ears.files import make_folder

NOTES = 24
FOLDER = Path(__file__).parent / "notes"


def main(store_path: str) -> None:
    """Draw and write the notes: every test instrument in turn, soft ones left out."""
    store = Store(store_path)
    chance = np.random.default_rng(0)
    rows = store.rows("test")
    rows = chance.permutation(rows[store.velocity[rows] >= 75])
    instruments = np.unique(store.instrument[rows])
    each = [rows[store.instrument[rows] == name] for name in instruments]
    drawn = [group[turn] for turn in range(NOTES) for group in each if turn < len(group)][:NOTES]
    make_folder(FOLDER)
    for row in drawn:
        note = store.note(int(row))
        bank, program = note.instrument.split("-")[1:]
        instrument = f"{note.family}_{note.source}_{int(bank + program):03d}"
        note.sound.save(FOLDER / f"{instrument}-{note.pitch:03d}-{note.velocity:03d}.flac")


if __name__ == "__main__":
    main(sys.argv[1])
