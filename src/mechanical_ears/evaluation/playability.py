"""Whether notes can be played as an instrument: right, in tune, one timbre, louder when hit harder.

Consistency compares distances of embeddings e(i, k) of instrument i and key k on the grid, in which
neighbouring keys lie an octave apart:

    ratio = mean |e(i, k) − e(i, k + 1)|  /  mean |e(i, k) − e(j, k)|,  i ≠ j

It is small where the keys of an instrument sound like one instrument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.evaluation.measurements import NoteMeasurements
from mechanical_ears.evaluation.note_sets import GRID_KEYS, GRID_VELOCITY
from mechanical_ears.note import FAMILIES
from mechanical_ears.set_metrics import inception_score, mean_entropy


@dataclass(frozen=True)
class PredictionMetrics:
    """What the evaluation network hears in notes.

    Attributes:
        notes: how many.
        pitch: share of notes whose key is heard.
        pitch_but_octave: the same, octaves forgiven.
        pitch_entropy: nats, how unsure it is of the key.
        pitch_inception: inception score of the keys, 1..128.
        family: share of notes whose family is heard; NaN where no family is known.
        cents: median of |cents| beside the key; NaN where no pitch stands out.
        cents_90: 90th percentile of them.
        unclear: share of notes in which no pitch stands out.
    """

    notes: int
    pitch: float
    pitch_but_octave: float
    pitch_entropy: float
    pitch_inception: float
    family: float
    cents: float
    cents_90: float
    unclear: float


@dataclass(frozen=True)
class TimbreConsistency:
    """How alike the keys of an instrument are.

    Attributes:
        within: mean distance between keys of one instrument, an octave apart.
        between: mean distance between instruments, of one key.
        ratio: within / between.
    """

    within: float
    between: float
    ratio: float


@dataclass(frozen=True)
class VelocitySteps:
    """What a harder touch does.

    Attributes:
        steps: from one velocity of a key to the next higher one.
        louder: share of steps that are louder.
        decibels: median by which a step of 25 velocities is louder.
    """

    steps: int
    louder: float
    decibels: float


@dataclass(frozen=True)
class FaultShares:
    """Shares of notes with a fault.

    Attributes:
        notes: how many.
        clicks, offset, clipped, silent: shares; see `faults`.
    """

    notes: int
    clicks: float
    offset: float
    clipped: float
    silent: float


def prediction_metrics(measured: NoteMeasurements) -> PredictionMetrics:
    """What the evaluation network hears; see `PredictionMetrics`."""
    keys = measured.keys.argmax(axis=1)
    known = measured.family >= 0
    families = measured.families.argmax(axis=1) == measured.family
    cents = np.abs(measured.cents[np.isfinite(measured.cents)])
    return PredictionMetrics(
        notes=len(measured),
        pitch=float((keys == measured.pitch).mean()),
        pitch_but_octave=float(((keys - measured.pitch) % 12 == 0).mean()),
        pitch_entropy=mean_entropy(measured.keys),
        pitch_inception=inception_score(measured.keys),
        family=float(families[known].mean()) if known.any() else float("nan"),
        cents=float(np.median(cents)) if len(cents) else float("nan"),
        cents_90=float(np.percentile(cents, 90)) if len(cents) else float("nan"),
        unclear=1 - len(cents) / len(measured),
    )


def family_confusion(measured: NoteMeasurements) -> NDArray[np.int64]:
    """Notes by family asked for (row) and heard (column), int64 (11, 11)."""
    confusion = np.zeros((len(FAMILIES), len(FAMILIES)), dtype=np.int64)
    known = measured.family >= 0
    np.add.at(confusion, (measured.family[known], measured.families[known].argmax(axis=1)), 1)
    return confusion


def timbre_consistency(grid: NoteMeasurements) -> TimbreConsistency:
    """How alike the keys of an instrument are; see the module.

    Args:
        grid: of instruments.

    Raises:
        ValueError: no instrument has two neighbouring keys, or there are no two instruments.
    """
    notes = grid[grid.velocity == GRID_VELOCITY]
    names, instrument = np.unique(notes.instrument, return_inverse=True)
    column = np.abs(notes.pitch[:, None] - np.array(GRID_KEYS)).argmin(axis=1)
    cells = np.full((len(names), len(GRID_KEYS), notes.embedding.shape[1]), np.nan)
    cells[instrument, column] = notes.embedding
    steps = np.linalg.norm(np.diff(cells, axis=1), axis=-1)
    steps = steps[np.isfinite(steps)]
    apart: list[NDArray[np.float64]] = []
    for points in cells.swapaxes(0, 1):
        there = points[np.isfinite(points[:, 0])]
        squares = np.square(there).sum(axis=1)
        all_pairs = np.maximum(squares[:, None] + squares - 2 * there @ there.T, 0)
        apart.append(np.sqrt(all_pairs[np.triu_indices(len(there), 1)]))
    pairs = np.concatenate(apart)
    if not len(steps) or not len(pairs):
        raise ValueError("there are too few keys or instruments to compare")
    within, between = float(steps.mean()), float(pairs.mean())
    return TimbreConsistency(within, between, within / between if between else float("inf"))


def velocity_steps(measured: NoteMeasurements) -> VelocitySteps:
    """What a harder touch does, on all keys of which there are two velocities.

    Raises:
        ValueError: there is none.
    """
    order = np.lexsort((measured.velocity, measured.pitch, measured.instrument))
    some = measured[order]
    same = (some.instrument[1:] == some.instrument[:-1]) & (some.pitch[1:] == some.pitch[:-1])
    harder = np.diff(some.velocity)
    same &= harder > 0
    if not same.any():
        raise ValueError("no key has two velocities")
    gains = np.diff(some.loudness)[same]
    return VelocitySteps(
        steps=int(same.sum()),
        louder=float((gains > 0).mean()),
        decibels=float(np.median(gains * 25 / harder[same])),
    )


def fault_shares(measured: NoteMeasurements) -> FaultShares:
    """Shares of notes with a fault, of those that were looked at.

    Raises:
        ValueError: none was.
    """
    looked = measured.clicks >= 0
    if not looked.any():
        raise ValueError("nobody looked for faults")
    return FaultShares(
        notes=int(looked.sum()),
        clicks=float((measured.clicks[looked] > 0).mean()),
        offset=float(measured.offset[looked].mean()),
        clipped=float(measured.clipped[looked].mean()),
        silent=float(measured.silent[looked].mean()),
    )
