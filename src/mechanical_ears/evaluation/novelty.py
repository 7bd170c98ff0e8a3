"""Whether an instrument is new: how far it lies from the nearest one that was trained on.

An instrument is the mean of its notes' embeddings, over the grid's keys at one velocity, in the
evaluation network's space, where notes of one instrument lie together:

    e = mean of the embeddings            d(e) = min |e − t| over the training instruments t

Real instruments that no training saw tell how near a stranger may come: one as near as the nearest
5 % of them may pass for a copy. Resynthesis moves an instrument, too, and must not count as
novelty; so the training instruments stand there as they are and resynthesised, and the strangers
are resynthesised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.evaluation.measurements import NoteMeasurements
from mechanical_ears.evaluation.note_sets import GRID_VELOCITY
from mechanical_ears.set_metrics import Floats, nearest_distances

THRESHOLD_PERCENTILE: Final = 5.0  # of the strangers' distances, from which an instrument is new


@dataclass(frozen=True)
class Novelty:
    """How new a set of instruments is.

    Attributes:
        instruments: how many.
        share: of them, as far from all training instruments as the 5th percentile of strangers.
        median: of their distances.
        threshold: that percentile.
        strangers: how many it rests on.
    """

    instruments: int
    share: float
    median: float
    threshold: float
    strangers: int


def instrument_embeddings(grid: NoteMeasurements) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Names of instruments (n,), sorted, and the mean embeddings (n, 64) of their grid's notes."""
    notes = grid[grid.velocity == GRID_VELOCITY]
    names, which = np.unique(notes.instrument, return_inverse=True)
    sums = np.zeros((len(names), notes.embedding.shape[1]))
    np.add.at(sums, which, notes.embedding.astype(np.float64))
    return names, sums / np.bincount(which)[:, None]


def measure_novelty(generated: Floats, strangers: Floats, known: Floats) -> Novelty:
    """How new instruments are.

    Args:
        generated: mean embeddings (instruments, features).
        strangers: real instruments that no training saw (instruments, features).
        known: those of the training (instruments, features).

    Raises:
        ValueError: one of them is empty.
    """
    if not (len(generated) and len(strangers) and len(known)):
        raise ValueError("there are no instruments to compare")
    threshold = float(np.percentile(nearest_distances(strangers, known), THRESHOLD_PERCENTILE))
    distances = nearest_distances(generated, known)
    return Novelty(
        instruments=len(generated),
        share=float((distances >= threshold).mean()),
        median=float(np.median(distances)),
        threshold=threshold,
        strangers=len(strangers),
    )
