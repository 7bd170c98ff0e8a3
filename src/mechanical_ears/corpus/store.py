"""The store that training reads: one int16 array on disk, memory-mapped, and a table of labels.

    STORE/audio.npy        int16 (notes, samples), full scale 32767; numpy.load reads it, too
    STORE/labels.parquet   a row for each note, NSynth's names for the columns
    STORE/store.json       version, sample rate, provenance, counts, how it was split

Random access runs at memory speed, which no archive or compressed format comes near, and the
289,205 notes of NSynth take 37 GB. What bears the store's name is whole, and a build that was
killed goes on (see resumable_build.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.resumable_build import (
    Build,
    BuildFormat,
    BuildReport,
    Progress,
    make_plan,
    open_build,
    write_table,
)
from mechanical_ears.corpus.split import SPLITS, UNSPLIT, split_instruments
from mechanical_ears.errors import CorpusError
from mechanical_ears.files import write_json
from mechanical_ears.note import FAMILIES, NOTE_SECONDS, QUALITIES, SOURCES, Note
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    import pyarrow

VERSION = 1
FULL_SCALE = 32767  # int16 value of amplitude 1
CHUNK_NOTES = 512  # notes written between two saves of the progress
HEADER_BYTES = 128  # of audio.npy, before the samples
HELD_OUT = "held-out"  # every note that is not in train
ALL_SIDES = "all"


@dataclass
class StoreReport(BuildReport):
    """What became of the places of a corpus.

    Attributes:
        notes: written to the store.
    """

    notes: int = 0

    @property
    def written(self) -> int:
        """Notes in the store."""
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
    progress: Progress = lambda done, places: None,
) -> StoreReport:
    """Write a corpus to a store, or go on with one whose build was interrupted.

    Args:
        corpus: the notes; each is cut or padded with silence to ``seconds``.
        path: the folder to make; its parent is made if absent.
        seconds: length of every note in the store, s.
        split: shares of train, validation and test, by instrument; None leaves notes unsplit.
        seed: of the split.
        skip_bad: leave out records that cannot be read and count them, instead of stopping.
        description: how the corpus was asked for; a build only goes on with the same one.
        progress: called after each chunk.

    Raises:
        CorpusError: the store exists, a record is bad, another build is under way in its place,
            there is no note, or no honest split.
        EarsError: the disk is full or read-only.
    """
    samples = round(seconds * corpus.sample_rate)
    plan = make_plan(corpus, VERSION, description, samples=samples)
    form = BuildFormat("audio.npy", "labels", _schema, "another corpus is being built there")
    with open_build(Path(path), form, plan, StoreReport()) as build:
        build.truncate(HEADER_BYTES + build.report.notes * samples * 2)
        _fill(build, corpus, samples, skip_bad, progress)
        _finish(build, corpus, samples, split, seed)
    return build.report


def _fill(
    build: Build[StoreReport],
    corpus: Corpus,
    samples: int,
    skip_bad: bool,
    progress: Progress,
) -> None:
    places, report = len(corpus), build.report
    for scanned in corpus.scan(report.next_place):
        if scanned.problem is not None:
            if not skip_bad:
                raise scanned.problem
            report.bad.append(str(scanned.problem))
        elif scanned.note is None:
            report.silent += 1
        else:
            build.data.write(_as_int16(scanned.note.sound.samples, samples))
            build.add_row(_row(scanned.note, samples))
            report.notes += 1
        if (scanned.index + 1) % CHUNK_NOTES == 0:
            build.save_chunk(scanned.index + 1)
            progress(scanned.index + 1, places)
    build.save_chunk(places)
    progress(places, places)


def _as_int16(audio: NDArray[np.float32], samples: int) -> bytes:
    fitted = np.zeros(samples, dtype="<i2")
    part = audio[:samples]
    fitted[: len(part)] = np.clip(np.rint(part * FULL_SCALE), -FULL_SCALE - 1, FULL_SCALE)
    return fitted.tobytes()


def _row(note: Note, samples: int) -> dict[str, object]:
    return {
        "note_str": note.name,
        "note": note.note_id,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "instrument_str": note.instrument,
        "instrument": note.instrument_id,
        "instrument_family_str": note.family,
        "instrument_source_str": note.source,
        "qualities_str": list(note.qualities),
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


def _write_header(audio: BinaryIO, notes: int, samples: int) -> None:
    """The .npy header (format 1.0), padded with spaces to ``HEADER_BYTES``."""
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
    groups = [sorted(group) for group in corpus.groups()]
    sides: dict[str, str] = {}
    if split is not None:
        families = dict(zip(instruments, table["instrument_family_str"].to_pylist(), strict=True))
        together = [frozenset(group) for group in groups]
        sides = split_instruments(Counter(instruments), families, together, split, seed)
    column = pa.array([sides.get(name, UNSPLIT) for name in instruments], pa.string())
    write_table(build.folder / "labels.parquet", table.append_column("split", column))
    about = {
        **build.plan,
        "notes": report.notes,
        "silent": report.silent,
        "bad": report.bad,
        "groups": groups,
        "split": None if split is None else {"shares": split, "seed": seed},
    }
    write_json(build.folder / "store.json", about)


def as_float(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """Amplitudes of a store's audio, float32 of the same shape in [-1, 1]."""
    return audio.astype(np.float32) / np.float32(FULL_SCALE)


class Store(Corpus):
    """A store on disk, opened for reading.

    Attributes:
        path: its folder.
        about: what store.json says.
        audio: int16 (notes, samples), memory-mapped, full scale 32767.
        pitch, velocity: uint8 (notes,).
        instrument: str (notes,), names.
        family: int8 (notes,), index in ``FAMILIES``, −1 where unknown.
        source: int8 (notes,), index in ``SOURCES``, −1 where unknown.
        side: str (notes,), "train", "validation", "test" or "" (unsplit).

    Raises:
        CorpusError: there is no store, it is damaged, or of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        import pyarrow.parquet as pq

        self.path = Path(path)
        remedy = "build one with: ears corpus build … -o STORE"
        try:
            self.about: dict[str, Any] = json.loads((self.path / "store.json").read_text())
        except FileNotFoundError as error:
            raise CorpusError("is no store (no store.json)", path=path, remedy=remedy) from error
        except ValueError as error:
            raise CorpusError("store.json is damaged", path=path, remedy=remedy) from error
        if self.about.get("version") != VERSION:
            raise CorpusError(
                f"is a store of version {self.about.get('version')}, this program reads {VERSION}",
                path=path,
                remedy="update mechanical-ears or build the store again",
            )
        shape = (self.about["notes"], self.about["samples"])
        try:
            self.audio: NDArray[np.int16] = np.load(self.path / "audio.npy", mmap_mode="r")
            self._labels = pq.read_table(self.path / "labels.parquet")
        except (OSError, ValueError) as error:
            raise CorpusError(f"is damaged ({error})", path=path, remedy=remedy) from error
        if self.audio.shape != shape or len(self._labels) != shape[0]:
            raise CorpusError(
                f"is damaged: audio {self.audio.shape} and {len(self._labels)} labels "
                f"where {shape} were written",
                path=path,
                remedy=remedy,
            )
        self.sample_rate = self.about["sample_rate"]
        self.provenance = Provenance(**self.about["provenance"])

    def __len__(self) -> int:
        return len(self.audio)

    def groups(self) -> Sequence[frozenset[str]]:
        """Instruments that share recordings, as the corpus it was built of told."""
        return [frozenset(group) for group in self.about["groups"]]

    @cached_property
    def pitch(self) -> NDArray[np.uint8]:
        """MIDI number of each note's key, uint8 (notes,)."""
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
        """Index in ``FAMILIES`` of each note, −1 where unknown, int8 (notes,)."""
        return self._codes("instrument_family_str", FAMILIES)

    @cached_property
    def source(self) -> NDArray[np.int8]:
        """Index in ``SOURCES`` of each note, −1 where unknown, int8 (notes,)."""
        return self._codes("instrument_source_str", SOURCES)

    @cached_property
    def qualities(self) -> NDArray[np.bool_]:
        """Which of ``QUALITIES`` apply, bool (notes, 10)."""
        marks = np.zeros((len(self), len(QUALITIES)), dtype=np.bool_)
        for row, names in enumerate(self._labels["qualities_str"].to_pylist()):
            for name in names:
                marks[row, QUALITIES.index(name)] = True
        return marks

    @cached_property
    def side(self) -> NDArray[np.str_]:
        """Side of the split of each note, str (notes,)."""
        return np.array(self._labels["split"].to_pylist())

    def _codes(self, column: str, vocabulary: tuple[str, ...]) -> NDArray[np.int8]:
        codes = {name: code for code, name in enumerate(vocabulary)}
        names = self._labels[column].to_pylist()
        return np.array([codes.get(name, -1) for name in names], dtype=np.int8)

    def rows(self, side: str = ALL_SIDES) -> NDArray[np.int64]:
        """Row numbers of one side of the split, int64 (rows,).

        The notes of a store that was never split are what its user takes them for: to train on as
        well as held out.

        Args:
            side: "train", "validation", "test", "held-out" (all but train) or "all".

        Raises:
            CorpusError: no such side, or it is empty.
        """
        if side == ALL_SIDES:
            chosen = np.ones(len(self), dtype=np.bool_)
        elif side == HELD_OUT:
            chosen = self.side != SPLITS[0]
        elif side == SPLITS[0]:
            chosen = (self.side == side) | (self.side == UNSPLIT)
        elif side in SPLITS:
            chosen = self.side == side
        else:
            raise CorpusError(
                f'there is no side "{side}" of a split',
                remedy=f"use one of {', '.join([*SPLITS, HELD_OUT, ALL_SIDES])}",
            )
        rows = np.flatnonzero(chosen)
        if not len(rows):
            raise CorpusError(
                f"has no note on the {side} side",
                path=self.path,
                remedy="build the store with --split, or choose another side",
            )
        return rows

    def note(self, row: int) -> Note:
        """The note of a row, without the silence that it was padded with."""
        label = self._labels.slice(row, 1).to_pylist()[0]
        audio = as_float(self.audio[row, : label["samples"]])
        return Note(
            sound=Sound(audio, self.sample_rate),
            pitch=label["pitch"],
            velocity=label["velocity"],
            instrument=label["instrument_str"],
            family=label["instrument_family_str"],
            source=label["instrument_source_str"],
            qualities=tuple(label["qualities_str"]),
            instrument_id=label["instrument"],
            note_id=label["note"],
        )

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Walk the notes from row ``start``."""
        for row in range(start, len(self)):
            yield CorpusEntry(row, self.note(row))
