"""Motion of real instruments: a table of measured notes, from which imagined ones take theirs.

A seed selects one instrument of the family, and for each note another one that it is mixed with,
each at a key near the note's: an instrument keeps a manner of its own, and no two notes move alike.
The table is made by `ears corpus motion` from recordings that no test uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import CorpusError, SoundError
from mechanical_ears.files import write_atomically
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE, NOTE_SECONDS
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.motion import Motion, mean_motion, measure_motion
from mechanical_ears.sound import Sound

SHIPPED: Final = Path(__file__).with_name("motion.npz")
OWN_SHARE: Final = 0.5  # of the seed's instrument in a note's motion
KEY_DISTANCE: Final = 4.0  # semitones, over which a measured note's weight falls by e
STILL_ARTICULATIONS: Final = ("pizzicato", "staccato", "tremolo")  # whose movement is not the usual


@dataclass(frozen=True, eq=False)
class MotionTable:
    """Motion vectors of n notes.

    Attributes:
        family: int8 (n,), index in `FAMILIES`.
        instrument: int16 (n,), number of the instrument.
        key: uint8 (n,), MIDI number.
        motion: float16 (n, 156), see `Motion.to_vector`.
        sources: names of the recordings' sources, to credit.
    """

    family: NDArray[np.int8]
    instrument: NDArray[np.int16]
    key: NDArray[np.uint8]
    motion: NDArray[np.float16]
    sources: tuple[str, ...]

    @classmethod
    def load(cls, path: Path = SHIPPED) -> MotionTable:
        """Read a table that `save` wrote."""
        with np.load(path) as arrays:
            columns = {name: arrays[name] for name in ("family", "instrument", "key", "motion")}
            return cls(**columns, sources=tuple(arrays["sources"].tolist()))

    def save(self, path: Path) -> None:
        """Write the table as an .npz file."""
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{**vars(self), "sources": np.array(self.sources)})

    def note_motion(
        self, families: Mapping[str | None, float], key: float, instrument_seed: int, note_seed: int
    ) -> Motion:
        """The motion of one note of an imagined instrument.

        Args:
            families: shares of families; others than those of `FAMILIES` do not move.
            key: MIDI number.
            instrument_seed: selects the instrument whose manner it has.
            note_seed: selects the notes.
        """
        rng = np.random.default_rng([instrument_seed & (2**63 - 1), 1])
        choice = np.random.default_rng([note_seed & (2**63 - 1), 2])
        motions, weights = [], []
        for family, share in families.items():
            if family not in FAMILIES:
                continue
            rows = np.flatnonzero(self.family == FAMILIES.index(family))
            instruments = np.unique(self.instrument[rows])
            if not len(instruments):
                continue
            for source, part in ((rng, OWN_SHARE), (choice, 1 - OWN_SHARE)):
                own = rows[self.instrument[rows] == source.choice(instruments)]
                near = np.exp(-np.abs(self.key[own].astype(np.float64) - key) / KEY_DISTANCE)
                row = choice.choice(own, p=near / near.sum())
                motions.append(Motion.from_vector(self.motion[row].astype(np.float64)))
                weights.append(share * part)
        return mean_motion(motions, weights) if motions else Motion()


@cache
def shipped_motion_table() -> MotionTable:
    """The table that ships with the package, read once."""
    return MotionTable.load()


def build_motion_table(folder: Path, progress: Any = None) -> MotionTable:
    """Measure the motion of a folder's recordings.

    Args:
        folder: with ``index.csv``, whose columns path, source, instrument, family, pitch,
            articulation, recorded and side are read; what was recorded ("1") and is of the side
            "train" is measured.
        progress: called with the number of notes done and in all.

    Raises:
        CorpusError: there is no such index, or it lacks a column.
    """
    import csv

    index = folder / "index.csv"
    try:
        with index.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["side"] == "train"]
        rows = [
            row
            for row in rows
            if row["recorded"] == "1" and row["articulation"] not in STILL_ARTICULATIONS
        ]
    except OSError as error:
        raise CorpusError("cannot be read", path=index, remedy="give a folder with it") from error
    except KeyError as error:
        raise CorpusError(f"has no column {error}", path=index) from error
    names: dict[str, int] = {}
    measured: list[tuple[int, int, int]] = []
    vectors, sources = [], set[str]()
    for done, row in enumerate(rows, start=1):
        motion = _measure_file(folder / row["path"], float(row["pitch"]))
        if motion is not None:
            number = names.setdefault(f"{row['source']}/{row['instrument']}", len(names))
            measured.append((FAMILIES.index(row["family"]), number, int(row["pitch"])))
            vectors.append(motion.typical().to_vector())
            sources.add(row["source"])
        if progress is not None:
            progress(done, len(rows))
    if not measured:
        raise CorpusError("holds no recording that can be measured", path=index)
    family, instrument, key = np.array(measured).T
    return MotionTable(
        family=family.astype(np.int8),
        instrument=instrument.astype(np.int16),
        key=key.astype(np.uint8),
        motion=np.array(vectors, dtype=np.float16),
        sources=tuple(sorted(sources)),
    )


def _measure_file(path: Path, pitch: float) -> Motion | None:
    """The motion of a recording; None where it cannot be read, analysed or is held too shortly."""
    try:
        sound = Sound.load(path).resample(NOTE_SAMPLE_RATE)
        first = sound.samples[: round(NOTE_SECONDS * NOTE_SAMPLE_RATE)]
        motion = measure_motion(analyse(Sound(first, NOTE_SAMPLE_RATE), pitch=pitch))
    except SoundError:
        return None
    return motion if motion is None or np.isfinite(motion.to_vector()).all() else None
