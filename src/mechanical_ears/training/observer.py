"""The interface of whoever follows the progress of a training."""

from __future__ import annotations

from typing import Protocol

from mechanical_ears.training.run import Figures


class Observer(Protocol):
    """Callbacks of a training; the command line shows them as a progress bar.

    Each of several processes has its own observer; `ears` shows only that of the first.
    """

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """An epoch of ``steps`` steps begins; epochs count from 1."""

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """A step is done; values are running means of the epoch."""

    def epoch_ends(self, figures: Figures) -> None:
        """An epoch is done and saved."""
