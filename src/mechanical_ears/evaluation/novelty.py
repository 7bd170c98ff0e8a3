"""Novelty of an instrument: its distance to the nearest training instrument.

An instrument is the mean embedding of its notes over the keys of the grid at one velocity, in the
space of the evaluation network, where notes of one instrument lie together:

    e = mean of the embeddings            d(e) = min |e − t| over the training instruments t

The distances of real instruments that were not in the training set calibrate it: an instrument
closer than the 5th percentile of them may pass for a copy. Resynthesis moves an instrument, too,
and must not count as novelty; therefore training instruments are compared as they are and
resynthesised, and the unseen instruments are resynthesised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.evaluation.measurements import NoteMeasurements
from mechanical_ears.evaluation.note_sets import GRID_VELOCITY
from mechanical_ears.set_metrics import Floats, nearest_distances

THRESHOLD_PERCENTILE: Final = 5.0  # of the distances of unseen instruments; new from there


@dataclass(frozen=True)
class Novelty:
    """Novelty of a set of instruments.

    Attributes:
        instruments: number of instruments.
        share: of instruments that are new, 0..1: at or above the threshold.
        median: of the distances to the nearest training instrument.
        threshold: 5th percentile of the distances of unseen instruments.
        unseen: number of unseen instruments.
    """

    instruments: int
    share: float
    median: float
    threshold: float
    unseen: int


def instrument_embeddings(grid: NoteMeasurements) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Sorted names of instruments (n,), and mean embeddings (n, 64) of their notes on the grid."""
    notes = grid[grid.velocity == GRID_VELOCITY]
    names, which = np.unique(notes.instrument, return_inverse=True)
    sums = np.zeros((len(names), notes.embedding.shape[1]))
    np.add.at(sums, which, notes.embedding.astype(np.float64))
    return names, sums / np.bincount(which)[:, None]


def measure_novelty(generated: Floats, unseen: Floats, training: Floats) -> Novelty:
    """Measure the novelty of instruments, given mean embeddings (instruments, features).

    Args:
        generated: of the instruments to be measured.
        unseen: of real instruments that are not in the training set.
        training: of training instruments.

    Raises:
        ValueError: one of them is empty.
    """
    if not (len(generated) and len(unseen) and len(training)):
        raise ValueError("there are no instruments to compare")
    threshold = float(np.percentile(nearest_distances(unseen, training), THRESHOLD_PERCENTILE))
    distances = nearest_distances(generated, training)
    return Novelty(
        instruments=len(generated),
        share=float((distances >= threshold).mean()),
        median=float(np.median(distances)),
        threshold=threshold,
        unseen=len(unseen),
    )
