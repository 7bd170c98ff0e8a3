"""Builds that take hours: written in chunks of notes, and resumed after an interruption.

The folder ``.NAME.building`` beside the target NAME holds

    plan.json                what is being built; a build is only resumed with the same plan
    progress.json            the report so far, with the index of the first entry not yet saved
    DATA                     one file to which notes are appended
    ROWS-000000512.parquet   the table rows of a chunk, named by the number of its first row

A chunk is saved in the order data, rows, progress: the progress of an interrupted build counts only
complete chunks, and anything after them is truncated or overwritten. At the end the folder is
renamed to NAME, so that a folder of that name is complete. A lock excludes a second build.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mechanical_ears import files
from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.errors import CorpusError, check_version
from mechanical_ears.files import LOCK_FILE, write_json
from mechanical_ears.note import Note

if TYPE_CHECKING:
    import pyarrow

CHUNK_ENTRIES: Final = 256  # between two saves of the progress
PLAN_FILE: Final = "plan.json"
PROGRESS_FILE: Final = "progress.json"

Progress = Callable[[int, int], None]  # entries done, entries in total


@dataclass
class BuildReport:
    """Counts of a build; its fields are the keys of progress.json.

    Attributes:
        silent: number of entries without a note, which are left out.
        bad: the problem of each record that cannot be used and is left out.
        next_place: index of the first entry of the corpus that is not yet saved.
    """

    silent: int = 0
    bad: list[str] = field(default_factory=list)
    next_place: int = 0

    @property
    def written(self) -> int:
        """Number of notes written."""
        raise NotImplementedError


ReportType = TypeVar("ReportType", bound=BuildReport)
Entry = TypeVar("Entry")
Data = TypeVar("Data", bound=np.generic)


@dataclass(frozen=True)
class BuildFormat:
    """Files of one kind of build.

    Attributes:
        version: of the format.
        about: name of the JSON file of a finished build.
        table: name of its table.
        data: name of the file to which notes are appended.
        rows: prefix of the names of the chunks' tables.
        schema: returns the schema of the rows.
        missing: problem to report if a folder has no such JSON file.
        remedy: what to do where a folder is no such build, or is damaged.
    """

    version: int
    about: str
    table: str
    data: str
    rows: str
    schema: Callable[[], pyarrow.Schema]
    missing: str
    remedy: str


class Build(Generic[ReportType]):
    """A build in progress.

    Attributes:
        folder: temporary folder of the build.
        plan: what is being built.
        report: counts so far.
        data: the file to which notes are appended; call `truncate` first.
    """

    def __init__(
        self,
        folder: Path,
        build_format: BuildFormat,
        plan: dict[str, Any],
        report: ReportType,
        data: BinaryIO,
    ) -> None:
        self.folder, self.plan, self.report, self.data = folder, plan, report, data
        self._format = build_format
        self._rows: list[dict[str, Any]] = []
        self._saved = report.written

    def truncate(self, length: int) -> None:
        """Shorten the data file to the ``length`` in bytes of all saved chunks; go to its end."""
        self.data.truncate(length)
        self.data.seek(length)

    def add_row(self, row: dict[str, Any]) -> None:
        """Add the row of a note that is written to ``data`` and counted in ``report``."""
        self._rows.append(row)

    def in_chunks(
        self, entries: Iterable[Entry], total: int, progress: Progress
    ) -> Iterator[Entry]:
        """Pass entries on; after each chunk of them and at the end, save what was added meanwhile.

        Args:
            entries: of the corpus, or what is computed from them, from ``report.next_place`` on.
            total: number of entries of the corpus.
            progress: called after each chunk.
        """
        for done, entry in enumerate(entries, self.report.next_place + 1):
            yield entry
            if done % CHUNK_ENTRIES == 0:
                self._save_chunk(done)
                progress(done, total)
        self._save_chunk(total)
        progress(total, total)

    def _save_chunk(self, next_place: int) -> None:
        """Save all notes since the last call; ``next_place`` is the index of the next entry."""
        self.data.flush()
        if self._rows:
            import pyarrow as pa

            table = pa.Table.from_pylist(self._rows, schema=self._format.schema())
            write_table(self.folder / f"{self._format.rows}-{self._saved:09d}.parquet", table)
        self.report.next_place = next_place
        write_json(self.folder / PROGRESS_FILE, asdict(self.report))
        self._saved = self.report.written
        self._rows.clear()

    def read_table(self) -> pyarrow.Table:
        """Rows of all saved chunks.

        Raises:
            CorpusError: there is no row.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.report.written:
            counts = f"{self.report.silent} silent, {len(self.report.bad)} bad"
            raise CorpusError(f"has no notes ({counts})", path=self.plan["provenance"]["title"])
        # A chunk saved just before an interruption, without its progress, was overwritten since.
        chunks = sorted(self.folder.glob(f"{self._format.rows}-*.parquet"))
        return pa.concat_tables([pq.read_table(chunk) for chunk in chunks])

    def remove_temporary_files(self, folder: Path) -> None:
        """Remove the files from the finished folder that only a build in progress needs."""
        names = (PLAN_FILE, PROGRESS_FILE, LOCK_FILE)
        for file in [*folder.glob(f"{self._format.rows}-*.parquet"), *map(folder.joinpath, names)]:
            file.unlink(missing_ok=True)


def make_plan(
    corpus: Corpus, build_format: BuildFormat, description: Mapping[str, object] | None, **more: Any
) -> dict[str, Any]:
    """Plan of a build: everything that must be the same to resume it.

    Args:
        corpus: the notes.
        build_format: what is built.
        description: how the corpus was specified.
        more: further keys that must be the same.
    """
    return {
        "version": build_format.version,
        "sample_rate": corpus.sample_rate,
        **more,
        "places": len(corpus),
        "provenance": asdict(corpus.provenance),
        "description": json.loads(json.dumps(dict(description or {}), default=str)),
    }


@contextmanager
def open_build(
    path: Path, build_format: BuildFormat, plan: dict[str, Any], report: ReportType
) -> Iterator[Build[ReportType]]:
    """Start a build or resume an interrupted one; if the block succeeds, it becomes ``path``.

    Args:
        path: the folder to create; missing parents are created.
        build_format: its files.
        plan: what is built; see ``make_plan``.
        report: an empty one.

    Raises:
        CorpusError: the folder exists, or a build with another plan was interrupted.
        EarsError: another process builds it, or the disk is full or read-only.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise CorpusError("exists already", path=path, remedy="remove it or choose another name")
    folder = files.make_folder(path.absolute().parent / f".{path.name}.building")
    lock = files.lock_folder(folder)
    try:
        report = _start_or_resume(folder, path, build_format, plan, report)
        with (folder / build_format.data).open("r+b") as data:
            build = Build(folder, build_format, plan, report, data)
            yield build
        lock.release()  # Windows cannot rename a folder with an open file
        files.replace_folder(folder, path)
        build.remove_temporary_files(path)
    except OSError as error:
        raise files.write_error(path, error) from error
    finally:
        lock.release()
        if folder.exists() and not _has_chunks(folder):
            shutil.rmtree(folder)  # nothing to resume


def _start_or_resume(
    folder: Path, path: Path, build_format: BuildFormat, plan: dict[str, Any], report: ReportType
) -> ReportType:
    """Report of the interrupted build in a folder; if there is none, start one."""
    if (folder / PROGRESS_FILE).exists():
        if json.loads((folder / PLAN_FILE).read_text()) != plan:
            remedy = f"finish it with the same options, or remove {folder}"
            raise CorpusError("a build of another corpus was interrupted", path=path, remedy=remedy)
        return type(report)(**json.loads((folder / PROGRESS_FILE).read_text()))
    for leftover in folder.iterdir():
        if leftover.name != LOCK_FILE:
            leftover.unlink()
    write_json(folder / PLAN_FILE, plan)
    (folder / build_format.data).touch()
    write_json(folder / PROGRESS_FILE, asdict(report))
    return report


def _has_chunks(folder: Path) -> bool:
    """Whether a build has saved a chunk."""
    file = folder / PROGRESS_FILE
    return file.exists() and json.loads(file.read_text())["next_place"] > 0


def read_build(
    path: Path, build_format: BuildFormat, open_data: Callable[[Path], NDArray[Data]]
) -> tuple[dict[str, Any], pyarrow.Table, NDArray[Data]]:
    """Content of a finished build: its JSON file, its table and its data.

    Args:
        path: the folder.
        build_format: its files.
        open_data: opens the data file.

    Raises:
        CorpusError: there is none, it is damaged, or of another version.
    """
    import pyarrow.parquet as pq

    def failure(problem: str) -> CorpusError:
        return CorpusError(problem, path=path, remedy=build_format.remedy)

    file, remedy = path / build_format.about, "update mechanical-ears, or build it again"
    try:
        about = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise failure(f"{build_format.missing} (no {file.name})") from error
    except ValueError as error:
        raise failure(f"{file.name} is damaged") from error
    version = about.get("version")
    check_version(version, build_format.version, path, remedy=remedy, kind=CorpusError)
    try:
        return about, pq.read_table(path / build_format.table), open_data(path / build_format.data)
    except (OSError, ValueError) as error:
        raise failure(f"is damaged ({error})") from error


def note_labels(note: Note) -> dict[str, object]:
    """Labels of a note by NSynth's names of columns."""
    return {
        "note_str": note.name,
        "pitch": note.pitch,
        "velocity": note.velocity,
        "instrument_str": note.instrument,
        "instrument_family_str": note.family,
        "instrument_source_str": note.source,
        "qualities_str": list(note.qualities),
    }


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write a Parquet file whole or not at all."""
    import pyarrow.parquet as pq

    with files.write_atomically(path) as temporary:
        pq.write_table(table, temporary)
