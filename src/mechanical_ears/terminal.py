"""What the command line shows: bars, tables, the progress of a training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

stderr_console = Console(stderr=True)  # progress and notices; results go to stdout
PIPED_WIDTH = 130  # columns of a table that no terminal shows
stdout_console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def is_first_process() -> bool:
    """Whether this one speaks: of torchrun's processes the first one does."""
    return os.environ.get("RANK", "0") == "0"


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr_console,
        disable=not is_first_process(),
    )


@contextmanager
def progress_bar(
    description: str, *, unit: str = "", scale: float = 1
) -> Iterator[Callable[[int, int | None], None]]:
    """A bar that is moved by calling it with what is done and what there is in all.

    Args:
        description: what is being done.
        unit: shown behind the counts.
        scale: shown counts for each one counted (1e-6 to show bytes as MB).
    """
    with _bar() as bar:
        task = bar.add_task(description, total=None, figures=unit)

        def move(done: int, total: int | None) -> None:
            whole = None if not total else round(total * scale)
            bar.update(task, completed=round(done * scale), total=whole)

        yield move


class TrainingBar:
    """A bar for each epoch of a training, with loss, accuracy and speed; see train.Observer."""

    def __init__(self) -> None:
        self._bar = _bar()
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """A new bar for a new epoch."""
        self._task = self._bar.add_task(f"epoch {epoch}/{epochs}", total=steps, figures="")

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """Move the bar by one step."""
        figures = f"loss {loss:.3f}  accuracy {accuracy:.1%}  {notes_per_second:,.0f} notes/s"
        self._bar.update(self._task, advance=1, figures=figures)

    def epoch_ends(self, figures: dict[str, Any]) -> None:
        """Replace the bar by one line of figures."""
        self._bar.remove_task(self._task)
        if not is_first_process():
            return
        self._bar.console.print(
            f"epoch {figures['epoch']:>3}  loss {figures['loss']:.3f}  "
            f"accuracy {figures['accuracy']:.1%}  "
            f"unseen: loss {figures['validation_loss']:.3f}  "
            f"accuracy {figures['validation_accuracy']:.1%}  "
            f"{figures['notes_per_second']:,.0f} notes/s"
        )


class ImaginationBar(TrainingBar):
    """The same for the training of the imagination, which has figures of its own."""

    _codes: TaskID | None = None

    def prepared(self, done: int, total: int) -> None:
        """Notes that are taken into codes before the training."""
        if self._codes is None:
            self._codes = self._bar.add_task("notes into codes", total=total, figures="")
        self._bar.update(self._codes, completed=done, total=total)

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """Move the bar by one step."""
        figures = f"loss {loss:.3f}  {notes_per_second:,.0f} notes/s"
        self._bar.update(self._task, advance=1, figures=figures)

    def epoch_ends(self, figures: dict[str, Any]) -> None:
        """Replace the bar by one line of figures."""
        self._bar.remove_task(self._task)
        self._bar.console.print(
            f"round {figures['epoch']:>3}  Fréchet {figures['frechet']:.2f} to training, "
            f"{figures['frechet_unseen']:.2f} to unseen instruments "
            f"(between them {figures['floor_unseen']:.2f})  "
            f"precision {figures['precision']:.2f} recall {figures['recall']:.2f}  "
            f"other notes {figures['other_notes']:.2f} dB  "
            f"consistency {figures['consistency']:.2f}  {figures['notes_per_second']:,.0f} notes/s",
            soft_wrap=True,
        )


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on stdout; numbers stand to the right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column, name in enumerate(header):
        numbers = all(isinstance(row[column], int | float) for row in rows)
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    stdout_console.print(table)
