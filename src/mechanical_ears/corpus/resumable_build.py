"""Builds that take hours: beside their place, a chunk of notes at a time, continued after a kill.

What will be PLACE/NAME grows in the folder ``.NAME.building`` beside it:

    plan.json            what is being built; a build only goes on with the same plan
    progress.json        the report so far, with the first place that is not yet safe
    DATA                 one file, to which the notes are added
    ROWS-000000512.parquet   the rows of a chunk, named by the number of its first

A chunk is saved as data, then rows, then progress: the progress that a killed build leaves tells of
whole chunks only, and what lies behind them is cut off or written over. At the end the folder is
renamed: what bears the name is whole. A lock keeps a second build out.
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

Progress = Callable[[int, int], None]  # places done, places in all


@dataclass
class BuildReport:
    """What became of the places of a corpus.

    Attributes:
        silent: places without a note, left out.
        bad: records that could not be used, left out, with the reason of each.
        next_place: the place of the corpus behind the last one that is safely written.
    """

    silent: int = 0
    bad: list[str] = field(default_factory=list)
    next_place: int = 0

    @property
    def written(self) -> int:
        """Notes that were written."""
        raise NotImplementedError


ReportType = TypeVar("ReportType", bound=BuildReport)


@dataclass(frozen=True)
class BuildFormat:
    """What the files of a kind of build are called and hold.

    Attributes:
        data: name of the file that grows.
        rows: first part of the names of the chunks' tables.
        schema: makes the schema of the rows.
        refusal: why another plan cannot go on, for the error.
    """

    data: str
    rows: str
    schema: Callable[[], pyarrow.Schema]
    refusal: str


class Build(Generic[ReportType]):
    """A build under way.

    Attributes:
        folder: where it grows.
        plan: what is being built.
        report: what became of the places so far.
        data: the file that grows, at its end once `cut` was called.
    """

    def __init__(
        self,
        folder: Path,
        form: BuildFormat,
        plan: dict[str, Any],
        report: ReportType,
        data: BinaryIO,
    ) -> None:
        self.folder, self.plan, self.report, self.data = folder, plan, report, data
        self._form = form
        self._rows: list[dict[str, Any]] = []
        self._saved = report.written

    def cut(self, length: int) -> None:
        """Drop what lies behind the last saved chunk: all but so many bytes of the data."""
        self.data.truncate(length)
        self.data.seek(length)

    def add(self, row: dict[str, Any]) -> None:
        """Add a row; its data lies in the file, and its note is counted in the report."""
        self._rows.append(row)

    def save(self, next_place: int) -> None:
        """Save the chunk before this place."""
        self.data.flush()
        if self._rows:
            import pyarrow as pa

            table = pa.Table.from_pylist(self._rows, schema=self._form.schema())
            write_table(self.folder / f"{self._form.rows}-{self._saved:09d}.parquet", table)
        self.report.next_place = next_place
        write_json(self.folder / PROGRESS_FILE, asdict(self.report))
        self._saved = self.report.written
        self._rows.clear()

    def table(self) -> pyarrow.Table:
        """The rows of all saved chunks.

        Raises:
            CorpusError: there are none.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.report.written:
            told = f"{self.report.silent} silent, {len(self.report.bad)} bad"
            raise CorpusError(f"holds no note ({told})", path=self.plan["provenance"]["title"])
        # A chunk written just before a kill, whose count was not saved, was written again since.
        chunks = sorted(self.folder.glob(f"{self._form.rows}-*.parquet"))
        return pa.concat_tables([pq.read_table(chunk) for chunk in chunks])

    def clear(self, folder: Path) -> None:
        """Remove from the finished folder what only a build in progress needs."""
        chunks = folder.glob(f"{self._form.rows}-*.parquet")
        for leftover in [
            *chunks,
            *(folder / name for name in (PLAN_FILE, PROGRESS_FILE, LOCK_FILE)),
        ]:
            leftover.unlink(missing_ok=True)


def make_plan(
    corpus: Corpus, version: int, description: Mapping[str, object] | None, **more: object
) -> dict[str, Any]:
    """The plan of a build.

    Args:
        corpus: what is built from.
        version: of the form that is built.
        description: how the corpus was asked for.
        more: what else makes another build of it.
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
    path: Path, form: BuildFormat, plan: dict[str, Any], report: ReportType
) -> Iterator[Build[ReportType]]:
    """Begin a build, or go on with one that was interrupted; what the block leaves is put in place.

    Args:
        path: the folder to make; its parent is made if absent.
        form: of the build.
        plan: what is built.
        report: an empty one.

    Raises:
        CorpusError: the folder exists, or another build is under way in its place.
        EarsError: the disk is full or read-only.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise CorpusError("is there already", path=path, remedy="remove it or choose another name")
    folder = make_folder(path.absolute().parent / f".{path.name}.building")
    lock = lock_folder(folder)
    try:
        report = _resumed(folder, path, form, plan, report)
        with (folder / form.data).open("r+b") as data:
            build = Build(folder, form, plan, report, data)
            yield build
        lock.release()  # Windows renames no folder with an open file
        replace_folder(folder, path)
        build.clear(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        lock.release()
        if folder.exists() and not _began(folder):
            shutil.rmtree(folder)  # nothing in it to go on with


def _resumed(
    folder: Path, path: Path, form: BuildFormat, plan: dict[str, Any], report: ReportType
) -> ReportType:
    """The report of an interrupted build, or the empty one of a new build."""
    if (folder / PROGRESS_FILE).exists():
        if json.loads((folder / PLAN_FILE).read_text()) != plan:
            raise CorpusError(
                form.refusal,
                path=path,
                remedy=f"finish that with the same options, or remove {folder}",
            )
        return type(report)(**json.loads((folder / PROGRESS_FILE).read_text()))
    for old in folder.iterdir():
        if old.name != LOCK_FILE:
            old.unlink()
    write_json(folder / PLAN_FILE, plan)
    (folder / form.data).touch()
    write_json(folder / PROGRESS_FILE, asdict(report))
    return report


def _began(folder: Path) -> bool:
    """Whether a build has got as far as its first chunk."""
    file = folder / PROGRESS_FILE
    return file.exists() and json.loads(file.read_text())["next_place"] > 0


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write a table whole or not at all."""
    import pyarrow.parquet as pq

    with write_atomically(path) as temporary:
        pq.write_table(table, temporary)
