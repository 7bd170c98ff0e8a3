"""A corpus of control maps: every note of a corpus analysed, with its distance when rendered.

    MAPS/maps.bin        the maps, each as the bytes of a safetensors file, one after the other
    MAPS/maps.parquet    a row for each: position in maps.bin, labels of the note, distances
    MAPS/maps.json       version, provenance, counts, notes that could not be analysed

Notes are analysed on all cores; an interrupted build is resumed (see corpus/resumable_build.py). A
note whose resynthesis is poor is kept and marked, for those who train on maps to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mechanical_ears.corpus import resumable_build
from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.resumable_build import Build, BuildReport, Progress
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
from mechanical_ears.workers import map_in_order, worker_count

if TYPE_CHECKING:
    import pyarrow

POOR_LSD: Final = 6.0  # dB, from which a resynthesis is poor: no nearer than noise is to noise
POOR_MEL: Final = 4.0  # dB, the same


@dataclass
class ControlMapReport(BuildReport):
    """What became of the entries of a corpus.

    Attributes:
        maps: written.
        poor: of them, those whose resynthesis is far from the note.
        unsplit: notes of instruments that are in no part of the split; left out.
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
class _Result:
    """An analysed entry: its map as bytes and its row, nothing for silence, or the problem."""

    index: int
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
    progress: Progress = lambda done, entries: None,
) -> ControlMapReport:
    """Analyse every note of a corpus, or resume a build that was interrupted.

    Args:
        corpus: the notes.
        path: the folder to create; its parents are created if absent.
        workers: processes; None for one per core.
        sides: train, validation or test for each instrument (see `store_sides`); other instruments
            are left out. None keeps the split of a store.
        description: options that define the corpus; a build is only resumed with the same ones.
        progress: called after each chunk.

    Raises:
        CorpusError: the folder exists, or another build of it is running.
        EarsError: the disk is full or read-only.
    """
    if workers is not None and workers < 1:
        raise CorpusError(f'"workers" is {workers}, not above 0')
    plan = resumable_build.make_plan(corpus, _FORMAT, description)
    with resumable_build.open_build(Path(path), _FORMAT, plan, ControlMapReport()) as build:
        build.truncate(build.report.bytes)
        side_of = _side_lookup(corpus, sides)
        _build(build, corpus, workers or worker_count(), side_of, progress)
        resumable_build.write_table(build.folder / _FORMAT.table, build.read_table())
        groups = [sorted(group) for group in corpus.groups()]
        about = {**plan, **asdict(build.report), "groups": groups}
        write_json(build.folder / _FORMAT.about, about)
    return build.report


def _side_lookup(
    corpus: Corpus, sides: Mapping[str, str] | None
) -> Callable[[int, str], str | None]:
    """From an entry's index and instrument to its side of the split; None to leave it out."""
    if sides is not None:
        return lambda index, instrument: sides.get(instrument)
    if isinstance(corpus, Store):
        side = corpus.side
        return lambda index, instrument: str(side[index])
    return lambda index, instrument: UNSPLIT


def store_sides(store: str | Path) -> dict[str, str]:
    """The side of a store's split of each instrument: train, validation or test, by name.

    Raises:
        CorpusError: it is not a store, or was never split.
    """
    opened = Store(store)
    sides = dict(zip(opened.instrument.tolist(), opened.side.tolist(), strict=True))
    if set(sides.values()) == {UNSPLIT}:
        raise CorpusError("was never split", path=store, remedy="build it with --split")
    return sides


def _build(
    build: Build[ControlMapReport],
    corpus: Corpus,
    workers: int,
    side_of: Callable[[int, str], str | None],
    progress: Progress,
) -> None:
    """Analyse what a build still lacks."""
    report = build.report
    scan = corpus.scan(report.next_place)
    results: Iterator[_Result] = map(_analyse_entry, scan)
    if workers > 1:
        results = map_in_order(_analyse_entry, scan, workers, processes=True)
    for result in build.in_chunks(results, len(corpus), progress):
        if result.problem is not None:
            report.bad.append(result.problem)
        elif result.row is None:
            report.silent += 1
        elif (side := side_of(result.index, result.row["instrument_str"])) is None:
            report.unsplit += 1
        else:
            build.add_row({**result.row, "start": report.bytes, "split": side})
            build.data.write(result.data)
            report.bytes += len(result.data)
            report.maps += 1
            report.poor += result.row["poor"]


def _analyse_entry(entry: CorpusEntry) -> _Result:
    if entry.problem is not None:
        return _Result(entry.index, problem=str(entry.problem))
    if entry.note is None:
        return _Result(entry.index)
    note = entry.note
    try:
        control_map = analyse(note)
    except SoundError as error:
        problem = SoundError(error.problem, record=f'note "{note.name}"')
        return _Result(entry.index, problem=str(problem))
    data = to_bytes(control_map)
    return _Result(entry.index, data, {"length": len(data), **_row(note, control_map)})


def _row(note: Note, control_map: ControlMap) -> dict[str, Any]:
    """A row of maps.parquet, without what depends on the place in the file."""
    rate = note.sound.sample_rate
    original = note.sound.samples[round(control_map.onset * rate) :]
    distance = spectral_distance(original, render(control_map).samples, rate)
    return {
        **resumable_build.note_labels(note),
        "frequency": control_map.frequency,
        "lsd": distance.lsd,
        "mel": distance.mel,
        "poor": distance.lsd > POOR_LSD or distance.mel > POOR_MEL,
    }


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


_FORMAT: Final = resumable_build.BuildFormat(
    version=1,
    about="maps.json",
    table="maps.parquet",
    data="maps.bin",
    rows="rows",
    schema=_schema,
    missing="holds no maps",
    remedy="build control maps with: ears corpus control-maps … -o MAPS",
)


class ControlMapStore:
    """A corpus of control maps, opened for reading.

    Attributes:
        path: its folder.
        about: the content of maps.json.
        provenance: of the notes.
        table: pyarrow, a row for each map: labels, ``lsd``, ``mel``, ``poor``, ``split``.

    Raises:
        CorpusError: there is none, it is damaged, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.about, self.table, self._data = resumable_build.read_build(
            self.path, _FORMAT, lambda file: np.memmap(file, dtype=np.uint8, mode="r")
        )
        if len(self.table) != self.about["maps"] or len(self._data) != self.about["bytes"]:
            problem = "is damaged: maps are missing"
            raise CorpusError(problem, path=path, remedy=_FORMAT.remedy)
        self.provenance = Provenance(**self.about["provenance"])
        self._starts = self.table["start"].to_numpy()
        self._lengths = self.table["length"].to_numpy()

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> ControlMap:
        """The map of a row of the table.

        Raises:
            ControlMapError: it is damaged.
            IndexError: there is none.
        """
        start = int(self._starts[index])
        data = self._data[start : start + int(self._lengths[index])].tobytes()
        return from_bytes(data, self.path / _FORMAT.data)


def open_notes(
    paths: Sequence[str | Path], *, sample_rate: int | None = None, **options: Any
) -> Corpus:
    """Open a corpus to build maps from: any corpus, or SoundFonts, which are then rendered.

    Args:
        paths: a corpus, or one or several .sf2 or .sf3 files.
        sample_rate: Hz, of a SoundFont's notes; 44100 if not given.
        options: other arguments of `SoundFont`.

    Raises:
        EarsError: it is not a corpus, or a rate is given for one that has its own.
    """
    if all(Path(path).suffix.lower() in (".sf2", ".sf3") for path in paths):
        from mechanical_ears.corpus.soundfont import SoundFont

        return SoundFont(paths, sample_rate=sample_rate or 44_100, **options)
    if len(paths) > 1:
        problem = "only SoundFonts can be analysed together"
        raise EarsError(problem, path=paths[1], remedy="give one corpus at a time")
    path = Path(paths[0])
    if sample_rate is not None:
        raise EarsError(
            "has a sample rate of its own", path=path, remedy="leave the sample rate out"
        )
    from mechanical_ears.corpus.open_corpus import open_corpus

    return open_corpus(path)
