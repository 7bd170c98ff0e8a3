"""Who watches a training."""

from __future__ import annotations

from typing import Protocol

from mechanical_ears.training.run import Figures


class Observer(Protocol):
    """Who watches a training; the command line draws a bar.

    With several processes each has its own; `ears` lets only the first one draw.
    """

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """An epoch of so many steps begins."""

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """A step is done; running means of the epoch."""

    def epoch_ends(self, figures: Figures) -> None:
        """An epoch is saved."""
