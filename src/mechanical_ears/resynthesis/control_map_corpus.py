"""A corpus of control maps: every note of a corpus taken apart, with how well it came back.

    MAPS/maps.bin        the maps, each as the bytes of a safetensors file, one after the other
    MAPS/maps.parquet    a row for each: where it lies, the note's labels, the distances
    MAPS/maps.json       version, provenance, counts, what could not be taken apart

Notes are taken apart on all cores; a build that was killed goes on (see
corpus/resumable_build.py). A note whose resynthesis is poor is kept and marked: whoever trains on
maps decides.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

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
from mechanical_ears.corpus.split import UNSPLIT
from mechanical_ears.corpus.store import Store
from mechanical_ears.errors import CorpusError, EarsError, SoundError
from mechanical_ears.files import write_json
from mechanical_ears.note import Note
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.control_map_file import from_bytes, to_bytes
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.workers import worker_count

if TYPE_CHECKING:
    import pyarrow

VERSION: Final = 1
CHUNK: Final = 256  # notes between two saves of the progress
AHEAD: Final = 4  # notes for each worker that wait for their turn
POOR_LSD: Final = 6.0  # dB, from which a resynthesis is poor: no nearer than noise is to noise
POOR_MEL: Final = 4.0  # dB, the same
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class ControlMapReport(BuildReport):
    """What became of the places of a corpus.

    Attributes:
        maps: written.
        poor: of them, those whose resynthesis is far from the note.
        unsplit: notes of instruments that the split asked for does not name; left out.
        bytes: of all maps.
    """

    maps: int = 0
    poor: int = 0
    unsplit: int = 0
    bytes: int = 0

    @property
    def written(self) -> int:
        """Maps that were written."""
        return self.maps


@dataclass(frozen=True)
class _Made:
    """One place, taken apart: bytes and row, or why not."""

    data: bytes = b""
    row: dict[str, Any] | None = None
    problem: str | None = None


def build_control_maps(
    corpus: Corpus,
    path: str | Path,
    *,
    workers: int | None = None,
    sides: Mapping[str, str] | None = None,
    description: Mapping[str, object] | None = None,
    progress: Progress = lambda done, places: None,
) -> ControlMapReport:
    """Take every note of a corpus apart, or go on with a build that was interrupted.

    Args:
        corpus: the notes.
        path: the folder to make; its parent is made if absent.
        workers: processes; None for one on each core.
        sides: train, validation or test for each instrument (see `store_sides`); those that it does
            not name are left out. None keeps the split of a store.
        description: how the corpus was asked for; a build only goes on with the same one.
        progress: called after each chunk.

    Raises:
        CorpusError: the folder exists, or another build is under way in its place.
        EarsError: the disk is full or read-only.
    """
    if workers is not None and workers < 1:
        raise CorpusError(f'"workers" is {workers}, not above 0')
    plan = make_plan(corpus, VERSION, description)
    form = BuildFormat("maps.bin", "rows", _schema, "maps of another corpus are being built there")
    with open_build(Path(path), form, plan, ControlMapReport()) as build:
        build.cut(build.report.bytes)
        told = _side_teller(corpus, sides)
        _fill(build, corpus, workers or worker_count(), told, progress)
        write_table(build.folder / "maps.parquet", build.table())
        groups = [sorted(group) for group in corpus.groups()]
        about = {**plan, **asdict(build.report), "groups": groups}
        write_json(build.folder / "maps.json", about)
    return build.report


def _side_teller(
    corpus: Corpus, sides: Mapping[str, str] | None
) -> Callable[[int, str], str | None]:
    """What tells the side of a place and its instrument; None where it is to be left out."""
    if sides is not None:
        return lambda place, instrument: sides.get(instrument)
    if isinstance(corpus, Store):
        side = corpus.side
        return lambda place, instrument: str(side[place])
    return lambda place, instrument: UNSPLIT


def store_sides(store: str | Path) -> dict[str, str]:
    """On which side of a store's split each instrument is, by name.

    Raises:
        CorpusError: it is no store, or was never split.
    """
    opened = Store(store)
    sides = dict(zip(opened.instrument.tolist(), opened.side.tolist(), strict=True))
    if set(sides.values()) == {UNSPLIT}:
        raise CorpusError("was never split", path=store, remedy="build it with --split")
    return sides


def _fill(
    build: Build[ControlMapReport],
    corpus: Corpus,
    workers: int,
    side_of: Callable[[int, str], str | None],
    progress: Progress,
) -> None:
    places, report = len(corpus), build.report
    for scanned, made in _taken_apart(corpus, report.next_place, workers):
        if made.problem is not None:
            report.bad.append(made.problem)
        elif made.row is None:
            report.silent += 1
        else:
            _add(build, made, made.row, side_of(scanned.index, made.row["instrument_str"]))
        if (scanned.index + 1) % CHUNK == 0:
            build.save(scanned.index + 1)
            progress(scanned.index + 1, places)
    build.save(places)
    progress(places, places)


def _add(
    build: Build[ControlMapReport], made: _Made, row: dict[str, Any], side: str | None
) -> None:
    report = build.report
    if side is None:
        report.unsplit += 1
        return
    build.add({**row, "start": report.bytes, "split": side})
    build.data.write(made.data)
    report.bytes += len(made.data)
    report.maps += 1
    report.poor += row["poor"]


def _taken_apart(corpus: Corpus, start: int, workers: int) -> Iterator[tuple[CorpusEntry, _Made]]:
    """The places of a corpus from ``start`` on, in order, taken apart by so many processes."""
    if workers == 1:
        for scanned in corpus.scan(start):
            yield scanned, _take_apart(scanned)
        return
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # what the workers' NumPy reads at import
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    waiting: deque[tuple[CorpusEntry, Future[_Made]]] = deque()
    try:
        for scanned in corpus.scan(start):
            waiting.append((scanned, pool.submit(_take_apart, scanned)))
            if len(waiting) > AHEAD * workers:
                oldest, made = waiting.popleft()
                yield oldest, made.result()
        while waiting:
            oldest, made = waiting.popleft()
            yield oldest, made.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _take_apart(scanned: CorpusEntry) -> _Made:
    if scanned.problem is not None:
        return _Made(problem=str(scanned.problem))
    if scanned.note is None:
        return _Made()
    note = scanned.note
    try:
        controls = analyse(note)
    except SoundError as error:
        return _Made(problem=str(SoundError(error.problem, record=f'note "{note.name}"')))
    return _row(note, controls)


def _row(note: Note, controls: ControlMap) -> _Made:
    rate = note.sound.sample_rate
    original = note.sound.samples[round(controls.onset * rate) :]
    apart = spectral_distance(original, render(controls).samples, rate)
    data = to_bytes(controls)
    row = {
        "length": len(data),
        "note_str": note.name,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "instrument_str": note.instrument,
        "instrument_family_str": note.family,
        "instrument_source_str": note.source,
        "qualities_str": list(note.qualities),
        "frequency": controls.frequency,
        "lsd": apart.lsd,
        "mel": apart.mel,
        "poor": apart.lsd > POOR_LSD or apart.mel > POOR_MEL,
    }
    return _Made(data, row)


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("start", pa.int64()),
            ("length", pa.int32()),
            ("note_str", pa.string()),
            ("pitch", pa.uint8()),
            ("velocity", pa.uint8()),
            ("instrument_str", pa.string()),
            ("instrument_family_str", pa.string()),
            ("instrument_source_str", pa.string()),
            ("qualities_str", pa.list_(pa.string())),
            ("frequency", pa.float64()),
            ("lsd", pa.float32()),
            ("mel", pa.float32()),
            ("poor", pa.bool_()),
            ("split", pa.string()),
        ]
    )


class ControlMapStore:
    """A corpus of control maps, opened for reading.

    Attributes:
        path: its folder.
        about: what maps.json says.
        provenance: of the notes.
        table: pyarrow, a row for each map: labels, ``lsd``, ``mel``, ``poor``, ``split``.

    Raises:
        CorpusError: there is none, it is damaged, or of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        import pyarrow.parquet as pq

        self.path = Path(path)
        remedy = "build them with: ears corpus controls … -o MAPS"
        try:
            self.about: dict[str, Any] = json.loads((self.path / "maps.json").read_text())
        except FileNotFoundError as error:
            raise CorpusError("holds no maps (no maps.json)", path=path, remedy=remedy) from error
        except ValueError as error:
            raise CorpusError("maps.json is damaged", path=path, remedy=remedy) from error
        if self.about.get("version") != VERSION:
            raise CorpusError(
                f"holds maps of version {self.about.get('version')}, this program reads {VERSION}",
                path=path,
                remedy="update mechanical-ears or build them again",
            )
        try:
            self.table: pyarrow.Table = pq.read_table(self.path / "maps.parquet")
            self._data = np.memmap(self.path / "maps.bin", dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise CorpusError(f"is damaged ({error})", path=path, remedy=remedy) from error
        if len(self.table) != self.about["maps"] or len(self._data) != self.about["bytes"]:
            raise CorpusError("is damaged: maps are missing", path=path, remedy=remedy)
        self.provenance = Provenance(**self.about["provenance"])
        self._starts = self.table["start"].to_numpy()
        self._lengths = self.table["length"].to_numpy()

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> ControlMap:
        """The map of a row of the table.

        Raises:
            ControlsError: it is damaged.
            IndexError: there is none.
        """
        start = int(self._starts[number])
        data = self._data[start : start + int(self._lengths[number])].tobytes()
        return from_bytes(data, self.path / "maps.bin")


def open_notes(
    paths: Sequence[str | Path], *, sample_rate: int | None = None, **chosen: Any
) -> Corpus:
    """Open what maps can be built from: any corpus, or SoundFonts, which are then rendered.

    Args:
        paths: a corpus, or one or several .sf2 or .sf3 files.
        sample_rate: Hz, of a SoundFont's notes; 44100 if not given.
        chosen: other arguments of `SoundFont`.

    Raises:
        EarsError: there is nothing of that kind, or a rate is given for what has its own.
    """
    if all(Path(path).suffix.lower() in (".sf2", ".sf3") for path in paths):
        from mechanical_ears.corpus.soundfont import SoundFont

        return SoundFont(paths, sample_rate=sample_rate or 44_100, **chosen)
    if len(paths) > 1:
        raise EarsError(
            "several can be taken apart at once of SoundFonts only",
            path=paths[1],
            remedy="give one corpus at a time",
        )
    path = Path(paths[0])
    if sample_rate is not None:
        raise EarsError("has a sample rate of its own", path=path, remedy="leave it out")
    from mechanical_ears.corpus.open_corpus import open_corpus

    return open_corpus(path)
