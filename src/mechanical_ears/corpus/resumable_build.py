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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Generic, TypeVar

from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.errors import CorpusError
from mechanical_ears.files import (
    LOCK_FILE,
    lock_folder,
    make_folder,
    replace_folder,
    write_atomically,
    write_error,
    write_json,
)

if TYPE_CHECKING:
    import pyarrow

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


@dataclass(frozen=True)
class BuildFormat:
    """Files of one kind of build.

    Attributes:
        data: name of the file to which notes are appended.
        rows: prefix of the names of the chunks' tables.
        schema: returns the schema of the rows.
        conflict: problem to report if the plan differs from that of an interrupted build.
    """

    data: str
    rows: str
    schema: Callable[[], pyarrow.Schema]
    conflict: str


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

    def save_chunk(self, next_place: int) -> None:
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
        chunks = folder.glob(f"{self._format.rows}-*.parquet")
        for leftover in [
            *chunks,
            *(folder / name for name in (PLAN_FILE, PROGRESS_FILE, LOCK_FILE)),
        ]:
            leftover.unlink(missing_ok=True)


def make_plan(
    corpus: Corpus, version: int, description: Mapping[str, object] | None, **more: object
) -> dict[str, Any]:
    """Plan of a build: everything that must be the same to resume it.

    Args:
        corpus: the notes.
        version: of the format that is built.
        description: how the corpus was specified.
        more: further keys that must be the same.
    """
    return {
        "version": version,
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
    folder = make_folder(path.absolute().parent / f".{path.name}.building")
    lock = lock_folder(folder)
    try:
        report = _start_or_resume(folder, path, build_format, plan, report)
        with (folder / build_format.data).open("r+b") as data:
            build = Build(folder, build_format, plan, report, data)
            yield build
        lock.release()  # Windows cannot rename a folder with an open file
        replace_folder(folder, path)
        build.remove_temporary_files(path)
    except OSError as error:
        raise write_error(path, error) from error
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
            raise CorpusError(
                build_format.conflict,
                path=path,
                remedy=f"finish it with the same options, or remove {folder}",
            )
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


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write a Parquet file whole or not at all."""
    import pyarrow.parquet as pq

    with write_atomically(path) as temporary:
        pq.write_table(table, temporary)
