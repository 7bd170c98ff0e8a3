"""The store that training reads: a memory-mapped int16 array on disk and a table of labels.

    STORE/audio.npy        int16 (notes, samples), full scale 32767; for numpy.load, too
    STORE/labels.parquet   a row for each note, with NSynth's names of columns
    STORE/store.json       version, sample rate, provenance, counts, parameters of the split

Random access is as fast as memory, far faster than archives or compressed formats; the 289,205
notes of NSynth take 37 GB. A store is complete if it exists, and an interrupted build can be
resumed (see resumable_build.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus import resumable_build
from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.resumable_build import Build, BuildReport, Progress
from mechanical_ears.corpus.split import SPLITS, UNSPLIT, split_instruments
from mechanical_ears.errors import CorpusError
from mechanical_ears.files import write_json
from mechanical_ears.note import FAMILIES, NOTE_SECONDS, QUALITIES, SOURCES, Note
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    import pyarrow

FULL_SCALE = 32767  # int16 value of amplitude 1
HEADER_BYTES = 128  # of audio.npy, before the samples
HELD_OUT = "held-out"  # validation and test
ALL_SIDES = "all"


@dataclass
class StoreReport(BuildReport):
    """Counts of the build of a store.

    Attributes:
        notes: number of notes written.
    """

    notes: int = 0

    @property
    def written(self) -> int:
        """Number of notes in the store."""
        return self.notes


def build_store(
    corpus: Corpus,
    path: str | Path,
    *,
    seconds: float = NOTE_SECONDS,
    split: tuple[float, float, float] | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    description: Mapping[str, object] | None = None,
    progress: Progress = lambda done, total: None,
) -> StoreReport:
    """Write a corpus to a store, or resume an interrupted build.

    Args:
        corpus: the notes; each is truncated or padded with silence to ``seconds``.
        path: the folder to create; missing parents are created.
        seconds: length of every note in the store, s.
        split: shares of train, validation and test, by instrument; None for no split.
        seed: of the split.
        skip_bad: leave out and count records that cannot be read, instead of stopping.
        description: how the corpus was specified; a build is only resumed with the same one.
        progress: called after each chunk.

    Raises:
        CorpusError: the store exists, a record is bad, a build of another corpus was interrupted,
            there is no note, or too few instruments for the split.
        EarsError: another process builds it, or the disk is full or read-only.
    """
    samples = round(seconds * corpus.sample_rate)
    plan = resumable_build.make_plan(corpus, _FORMAT, description, samples=samples)
    with resumable_build.open_build(Path(path), _FORMAT, plan, StoreReport()) as build:
        build.truncate(HEADER_BYTES + build.report.notes * samples * 2)
        _write_notes(build, corpus, samples, skip_bad, progress)
        _finish(build, corpus, samples, split, seed)
    return build.report


def _write_notes(
    build: Build[StoreReport], corpus: Corpus, samples: int, skip_bad: bool, progress: Progress
) -> None:
    report = build.report
    for entry in build.in_chunks(corpus.scan(report.next_place), len(corpus), progress):
        if entry.problem is not None:
            if not skip_bad:
                raise entry.problem
            report.bad.append(str(entry.problem))
        elif entry.note is None:
            report.silent += 1
        else:
            build.data.write(_to_int16(entry.note.sound.samples, samples))
            build.add_row(_to_row(entry.note, samples))
            report.notes += 1


def _to_int16(audio: NDArray[np.float32], samples: int) -> bytes:
    padded = np.zeros(samples, dtype="<i2")
    part = audio[:samples]
    padded[: len(part)] = np.clip(np.rint(part * FULL_SCALE), -FULL_SCALE - 1, FULL_SCALE)
    return padded.tobytes()


def _to_row(note: Note, samples: int) -> dict[str, object]:
    return {
        **resumable_build.note_labels(note),
        "note": note.note_id,
        "instrument": note.instrument_id,
        "samples": min(len(note.sound.samples), samples),
    }


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("note_str", pa.string()),
            ("note", pa.int64()),
            ("pitch", pa.uint8()),
            ("velocity", pa.uint8()),
            ("instrument_str", pa.string()),
            ("instrument", pa.int64()),
            ("instrument_family_str", pa.string()),
            ("instrument_source_str", pa.string()),
            ("qualities_str", pa.list_(pa.string())),
            ("samples", pa.int32()),
        ]
    )


_FORMAT = resumable_build.BuildFormat(
    version=1,
    about="store.json",
    table="labels.parquet",
    data="audio.npy",
    rows="labels",
    schema=_schema,
    missing="is not a store",
    remedy="build a store with: ears corpus build … -o STORE",
)


def _write_header(audio: BinaryIO, notes: int, samples: int) -> None:
    """Write the .npy header (format 1.0), padded with spaces to ``HEADER_BYTES``."""
    text = f"{{'descr': '<i2', 'fortran_order': False, 'shape': ({notes}, {samples}), }}"
    prefix = b"\x93NUMPY\x01\x00"
    length = HEADER_BYTES - len(prefix) - 2
    audio.seek(0)
    audio.write(prefix + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n")


def _finish(
    build: Build[StoreReport],
    corpus: Corpus,
    samples: int,
    split: tuple[float, float, float] | None,
    seed: int,
) -> None:
    import pyarrow as pa

    report, table = build.report, build.read_table()
    _write_header(build.data, report.notes, samples)
    instruments = table["instrument_str"].to_pylist()
    groups = corpus.groups()
    sides: dict[str, str] = {}
    if split is not None:
        families = dict(zip(instruments, table["instrument_family_str"].to_pylist(), strict=True))
        sides = split_instruments(Counter(instruments), families, groups, split, seed)
    column = pa.array([sides.get(name, UNSPLIT) for name in instruments], pa.string())
    table = table.append_column("split", column)
    resumable_build.write_table(build.folder / _FORMAT.table, table)
    about = {
        **build.plan,
        "notes": report.notes,
        "silent": report.silent,
        "bad": report.bad,
        "groups": [sorted(group) for group in groups],
        "split": None if split is None else {"shares": split, "seed": seed},
    }
    write_json(build.folder / _FORMAT.about, about)


def as_float(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """Convert a store's audio to amplitudes, float32 of the same shape in [-1, 1]."""
    return audio.astype(np.float32) / np.float32(FULL_SCALE)


class Store(Corpus):
    """A store on disk, opened for reading.

    Attributes:
        path: its folder.
        about: contents of store.json.
        audio: int16 (notes, samples), memory-mapped, full scale 32767.
        pitch, velocity: uint8 (notes,).
        instrument: str (notes,), names.
        family: int8 (notes,), index in ``FAMILIES``, −1 if unknown.
        source: int8 (notes,), index in ``SOURCES``, −1 if unknown.
        side: str (notes,), "train", "validation", "test" or "" (unsplit).

    Raises:
        CorpusError: there is no store, or it is damaged or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.audio: NDArray[np.int16]
        self.about, self._labels, self.audio = resumable_build.read_build(
            self.path, _FORMAT, lambda file: np.load(file, mmap_mode="r")
        )
        shape = (self.about["notes"], self.about["samples"])
        if self.audio.shape != shape or len(self._labels) != shape[0]:
            found = f"audio {self.audio.shape} and {len(self._labels)} labels"
            problem = f"is damaged: {found} instead of {shape}"
            raise CorpusError(problem, path=path, remedy=_FORMAT.remedy)
        self.sample_rate = self.about["sample_rate"]
        self.provenance = Provenance(**self.about["provenance"])

    def __len__(self) -> int:
        return len(self.audio)

    def groups(self) -> Sequence[frozenset[str]]:
        """Instruments that share recordings, as in the corpus that the store was built from."""
        return [frozenset(group) for group in self.about["groups"]]

    @cached_property
    def pitch(self) -> NDArray[np.uint8]:
        """MIDI number of each note, uint8 (notes,)."""
        return np.asarray(self._labels["pitch"].to_numpy(), dtype=np.uint8)

    @cached_property
    def velocity(self) -> NDArray[np.uint8]:
        """MIDI velocity of each note, uint8 (notes,)."""
        return np.asarray(self._labels["velocity"].to_numpy(), dtype=np.uint8)

    @cached_property
    def instrument(self) -> NDArray[np.str_]:
        """Instrument name of each note, str (notes,)."""
        return np.array(self._labels["instrument_str"].to_pylist())

    @cached_property
    def family(self) -> NDArray[np.int8]:
        """Index in ``FAMILIES`` of each note, −1 if unknown, int8 (notes,)."""
        return self._indices("instrument_family_str", FAMILIES)

    @cached_property
    def source(self) -> NDArray[np.int8]:
        """Index in ``SOURCES`` of each note, −1 if unknown, int8 (notes,)."""
        return self._indices("instrument_source_str", SOURCES)

    @cached_property
    def qualities(self) -> NDArray[np.bool_]:
        """Which of ``QUALITIES`` apply, bool (notes, 10)."""
        flags = np.zeros((len(self), len(QUALITIES)), dtype=np.bool_)
        for row, names in enumerate(self._labels["qualities_str"].to_pylist()):
            for name in names:
                flags[row, QUALITIES.index(name)] = True
        return flags

    @cached_property
    def side(self) -> NDArray[np.str_]:
        """Side of the split of each note, str (notes,)."""
        return np.array(self._labels["split"].to_pylist())

    def _indices(self, column: str, vocabulary: tuple[str, ...]) -> NDArray[np.int8]:
        indices = {name: index for index, name in enumerate(vocabulary)}
        names = self._labels[column].to_pylist()
        return np.array([indices.get(name, -1) for name in names], dtype=np.int8)

    def rows(self, side: str = ALL_SIDES) -> NDArray[np.int64]:
        """Row numbers of one side of the split, int64 (rows,).

        In a store without a split every note is both in "train" and in "held-out".

        Args:
            side: "train", "validation", "test", "held-out" (validation and test) or "all".

        Raises:
            CorpusError: there is no such side, or it is empty.
        """
        if side == ALL_SIDES:
            mask = np.ones(len(self), dtype=np.bool_)
        elif side == HELD_OUT:
            mask = self.side != SPLITS[0]
        elif side == SPLITS[0]:
            mask = (self.side == side) | (self.side == UNSPLIT)
        elif side in SPLITS:
            mask = self.side == side
        else:
            remedy = f"use one of {', '.join([*SPLITS, HELD_OUT, ALL_SIDES])}"
            raise CorpusError(f'there is no side "{side}" of a split', remedy=remedy)
        rows = np.flatnonzero(mask)
        if not len(rows):
            remedy = "build the store with --split, or choose another side"
            raise CorpusError(f"has no notes on the {side} side", path=self.path, remedy=remedy)
        return rows

    def note(self, row: int) -> Note:
        """Note of a row, without padding."""
        labels = self._labels.slice(row, 1).to_pylist()[0]
        audio = as_float(self.audio[row, : labels["samples"]])
        return Note(
            sound=Sound(audio, self.sample_rate),
            pitch=labels["pitch"],
            velocity=labels["velocity"],
            instrument=labels["instrument_str"],
            family=labels["instrument_family_str"],
            source=labels["instrument_source_str"],
            qualities=tuple(labels["qualities_str"]),
            instrument_id=labels["instrument"],
            note_id=labels["note"],
        )

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Iterate over the notes from row ``start``."""
        for row in range(start, len(self)):
            yield CorpusEntry(row, self.note(row))
