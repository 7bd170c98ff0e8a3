"""Playability of notes as an instrument: right keys, in tune, one timbre, louder if struck harder.

Consistency of timbre compares distances of embeddings e(i, k) of instrument i and key k on the
grid, in which neighbouring keys are an octave apart:

    ratio = mean |e(i, k) − e(i, k + 1)|  /  mean |e(i, k) − e(j, k)|,  i ≠ j

It is small if the keys of an instrument sound like one instrument.
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
    """Agreement of predictions of the evaluation network with labels, and tuning.

    Attributes:
        notes: number of notes.
        pitch: share of notes whose key is predicted.
        pitch_but_octave: the same, up to octaves.
        pitch_entropy: mean entropy of the predicted keys, nats.
        pitch_inception: inception score of the predicted keys, 1..128.
        family: share of notes whose family is predicted; NaN if no family is known.
        cents: median of the absolute deviation from the key; NaN if no pitch is salient.
        cents_90: 90th percentile of it.
        unclear: share of notes in which no pitch is salient.
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
    """Consistency of timbre over the keys of instruments.

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
    """Gain of loudness with velocity.

    Attributes:
        steps: number of steps from one velocity of a key to the next higher one.
        louder: share of steps with a gain.
        decibels: median gain, scaled to a step of 25 velocities.
    """

    steps: int
    louder: float
    decibels: float


@dataclass(frozen=True)
class FaultShares:
    """Shares of notes with a fault.

    Attributes:
        notes: number of notes.
        clicks, offset, clipped, silent: shares, 0..1; see `faults`.
    """

    notes: int
    clicks: float
    offset: float
    clipped: float
    silent: float


def prediction_metrics(measured: NoteMeasurements) -> PredictionMetrics:
    """Compare predictions with labels."""
    keys = measured.keys.argmax(axis=1)
    known = measured.family >= 0
    correct_family = measured.families.argmax(axis=1) == measured.family
    cents = np.abs(measured.cents[np.isfinite(measured.cents)])
    return PredictionMetrics(
        notes=len(measured),
        pitch=float((keys == measured.pitch).mean()),
        pitch_but_octave=float(((keys - measured.pitch) % 12 == 0).mean()),
        pitch_entropy=mean_entropy(measured.keys),
        pitch_inception=inception_score(measured.keys),
        family=float(correct_family[known].mean()) if known.any() else float("nan"),
        cents=float(np.median(cents)) if len(cents) else float("nan"),
        cents_90=float(np.percentile(cents, 90)) if len(cents) else float("nan"),
        unclear=1 - len(cents) / len(measured),
    )


def family_confusion(measured: NoteMeasurements) -> NDArray[np.int64]:
    """Count notes by labelled (row) and predicted (column) family, int64 (11, 11)."""
    confusion = np.zeros((len(FAMILIES), len(FAMILIES)), dtype=np.int64)
    known = measured.family >= 0
    np.add.at(confusion, (measured.family[known], measured.families[known].argmax(axis=1)), 1)
    return confusion


def timbre_consistency(grid: NoteMeasurements) -> TimbreConsistency:
    """Measure consistency of timbre; formula in the module.

    Args:
        grid: notes of the grid of instruments.

    Raises:
        ValueError: no instrument has two neighbouring keys, or there are no two instruments.
    """
    notes = grid[grid.velocity == GRID_VELOCITY]
    names, instrument = np.unique(notes.instrument, return_inverse=True)
    key = np.abs(notes.pitch[:, None] - np.array(GRID_KEYS)).argmin(axis=1)
    cells = np.full((len(names), len(GRID_KEYS), notes.embedding.shape[1]), np.nan)
    cells[instrument, key] = notes.embedding
    steps = np.linalg.norm(np.diff(cells, axis=1), axis=-1)
    steps = steps[np.isfinite(steps)]
    distances: list[NDArray[np.float64]] = []
    for column in cells.swapaxes(0, 1):
        points = column[np.isfinite(column[:, 0])]
        squares = np.square(points).sum(axis=1)
        all_pairs = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
        distances.append(np.sqrt(all_pairs[np.triu_indices(len(points), 1)]))
    pairs = np.concatenate(distances)
    if not len(steps) or not len(pairs):
        raise ValueError("there are too few keys or instruments to compare")
    within, between = float(steps.mean()), float(pairs.mean())
    return TimbreConsistency(within, between, within / between if between else float("inf"))


def velocity_steps(measured: NoteMeasurements) -> VelocitySteps:
    """Measure the gain of loudness with velocity, on all keys with several velocities.

    Raises:
        ValueError: there are none.
    """
    order = np.lexsort((measured.velocity, measured.pitch, measured.instrument))
    notes = measured[order]
    same = (notes.instrument[1:] == notes.instrument[:-1]) & (notes.pitch[1:] == notes.pitch[:-1])
    harder = np.diff(notes.velocity)
    same &= harder > 0
    if not same.any():
        raise ValueError("no key has two velocities")
    gains = np.diff(notes.loudness)[same]
    return VelocitySteps(
        steps=int(same.sum()),
        louder=float((gains > 0).mean()),
        decibels=float(np.median(gains * 25 / harder[same])),
    )


def fault_shares(measured: NoteMeasurements) -> FaultShares:
    """Count faults of the notes that were searched for them.

    Raises:
        ValueError: none was.
    """
    searched = measured.clicks >= 0
    if not searched.any():
        raise ValueError("no note was searched for faults")
    return FaultShares(
        notes=int(searched.sum()),
        clicks=float((measured.clicks[searched] > 0).mean()),
        offset=float(measured.offset[searched].mean()),
        clipped=float(measured.clipped[searched].mean()),
        silent=float(measured.silent[searched].mean()),
    )
