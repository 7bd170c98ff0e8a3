"""Output of the command line: progress bars and tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from rich import progress
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

stderr_console = Console(stderr=True)  # progress and notices; results go to stdout
PIPED_WIDTH = 130  # columns of a table that is written to a file or pipe
stdout_console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def is_first_process() -> bool:
    """Whether this process may print: of torchrun's processes only the first."""
    return os.environ.get("RANK", "0") == "0"


def _bar() -> progress.Progress:
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[figures]}"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=stderr_console,
        disable=not is_first_process(),
    )


@contextmanager
def progress_bar(
    description: str, *, unit: str = "", scale: float = 1
) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar; yields a function that takes the count so far and the total, or None.

    Args:
        description: text before the bar.
        unit: text after the counts.
        scale: factor of the shown counts (1e-6 to show bytes as MB).
    """
    with _bar() as bar:
        task = bar.add_task(description, total=None, figures=unit)

        def move(done: int, total: int | None) -> None:
            scaled_total = None if not total else round(total * scale)
            bar.update(task, completed=round(done * scale), total=scaled_total)

        yield move


class TrainingBar:
    """A bar for each epoch of a training, with loss, accuracy and speed.

    It implements ``training.observer.Observer``.
    """

    def __init__(self) -> None:
        self._bar = _bar()
        self._task = progress.TaskID(0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """Add a bar for a new epoch."""
        self._task = self._bar.add_task(f"epoch {epoch}/{epochs}", total=steps, figures="")

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """Advance the bar by one step."""
        figures = f"loss {loss:.3f}  accuracy {accuracy:.1%}  {notes_per_second:,.0f} notes/s"
        self._bar.update(self._task, advance=1, figures=figures)

    def epoch_ends(self, figures: dict[str, Any]) -> None:
        """Replace the bar with one line of figures."""
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


class GeneratorTrainingBar(TrainingBar):
    """progress.Progress bars for the training of the generator."""

    _latents: progress.TaskID | None = None

    def show_encoding(self, done: int, total: int) -> None:
        """Show how many notes are encoded before the training."""
        if self._latents is None:
            self._latents = self._bar.add_task("encoding notes", total=total, figures="")
        self._bar.update(self._latents, completed=done, total=total)

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """Advance the bar by one step."""
        figures = f"loss {loss:.3f}  {notes_per_second:,.0f} notes/s"
        self._bar.update(self._task, advance=1, figures=figures)

    def epoch_ends(self, figures: dict[str, Any]) -> None:
        """Replace the bar with one line of figures."""
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
    """Print a table on stdout, with columns of numbers aligned to the right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column, name in enumerate(header):
        numeric = all(isinstance(row[column], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    stdout_console.print(table)
