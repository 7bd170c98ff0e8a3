"""Figures of invented instruments for which they are known."""

import numpy as np
import pytest

from mechanical_ears.evaluation.measurements import NoteMeasurements
from mechanical_ears.evaluation.note_sets import GRID_KEYS, GRID_VELOCITY
from mechanical_ears.evaluation.novelty import instrument_embeddings, measure_novelty
from mechanical_ears.evaluation.playability import (
    family_confusion,
    fault_shares,
    prediction_metrics,
    timbre_consistency,
    velocity_steps,
)


def measurements(count, **columns):
    """Measurements of unremarkable notes of one instrument, except for the given columns."""
    values = {
        "pitch": np.full(count, 60),
        "velocity": np.full(count, GRID_VELOCITY),
        "family": np.zeros(count, dtype=np.int64),
        "instrument": np.array(["a"] * count),
        "features": np.zeros((count, 256), np.float32),
        "embedding": np.zeros((count, 64), np.float32),
        "keys": np.eye(128, dtype=np.float32)[np.full(count, 60)],
        "families": np.eye(11, dtype=np.float32)[np.zeros(count, dtype=np.int64)],
        "loudness": np.full(count, -20.0),
        "cents": np.zeros(count),
        "clicks": np.zeros(count, dtype=np.int64),
        **{name: np.zeros(count, np.bool_) for name in ("offset", "clipped", "silent")},
    }
    return NoteMeasurements(
        **{**values, **{name: np.asarray(value) for name, value in columns.items()}}
    )


def embeddings(*points):
    """Embeddings with these first two numbers."""
    rows = np.zeros((len(points), 64), np.float32)
    rows[:, :2] = points
    return rows


def test_prediction_metrics():
    keys = np.eye(128, dtype=np.float32)[[60, 72, 61, 60]]
    keys[3] = 1 / 128
    metrics = prediction_metrics(
        measurements(
            4,
            keys=keys,
            family=[0, 1, -1, 0],
            cents=[1.0, -3.0, np.nan, 2.0],
        )
    )
    # of uniform probabilities key 0 is taken for the highest, which is a C, too
    assert (metrics.notes, metrics.pitch, metrics.pitch_but_octave) == (4, 0.25, 0.75)
    assert metrics.pitch_entropy == pytest.approx(np.log(128) / 4)
    assert metrics.family == pytest.approx(2 / 3)
    assert (metrics.cents, metrics.unclear) == (2.0, 0.25)
    assert np.isnan(prediction_metrics(measurements(2, family=[-1, -1])).family)


def test_family_confusion():
    families = np.eye(11, dtype=np.float32)[[3, 5, 5]]
    confusion = family_confusion(measurements(3, family=[3, 3, -1], families=families))
    assert (confusion[3, 3], confusion[3, 5], confusion.sum()) == (1, 1, 2)


def test_timbre_consistency():
    """Two instruments 10 apart; each moves by 1 from key to key, with one key missing."""
    keys = [*GRID_KEYS, *GRID_KEYS[:4]]
    points = [(n, 0) for n in range(5)] + [(n, 10) for n in range(4)]
    grid = measurements(
        9,
        pitch=[key + 1 for key in keys],
        instrument=["a"] * 5 + ["b"] * 4,
        embedding=embeddings(*points),
    )
    consistency = timbre_consistency(grid)
    assert (consistency.within, consistency.between, consistency.ratio) == pytest.approx(
        (1, 10, 0.1)
    )
    other_velocity = measurements(
        1, velocity=[25], pitch=[GRID_KEYS[1]], embedding=embeddings((99, 99))
    )
    both = NoteMeasurements(
        **{
            name: np.concatenate([getattr(grid, name), getattr(other_velocity, name)])
            for name in vars(grid)
        }
    )
    assert timbre_consistency(both) == consistency
    with pytest.raises(ValueError, match="too few"):
        timbre_consistency(grid[:5])


def test_velocity_steps():
    steps = velocity_steps(
        measurements(
            6,
            velocity=[75, 25, 50, 25, 50, 100],
            pitch=[60, 60, 60, 61, 61, 62],
            loudness=[-20, -30, -26, -30, -31, 0],
        )
    )
    assert steps.steps == 3
    assert steps.louder == pytest.approx(2 / 3)  # −30 → −26 → −20, and −30 → −31
    assert steps.decibels == 4
    halved = velocity_steps(measurements(2, velocity=[25, 75], loudness=[-30, -20]))
    assert halved.decibels == 5
    with pytest.raises(ValueError, match="two velocities"):
        velocity_steps(measurements(3, pitch=[1, 2, 3]))


def test_faults_are_counted_where_they_were_searched_for():
    shares = fault_shares(
        measurements(4, clicks=[0, 2, 0, -1], offset=[False, False, True, True], silent=[False] * 4)
    )
    assert (shares.notes, shares.clicks, shares.offset) == (3, 1 / 3, 1 / 3)
    assert (shares.clipped, shares.silent) == (0, 0)
    with pytest.raises(ValueError, match="no note was searched"):
        fault_shares(measurements(2, clicks=[-1, -1]))


def test_an_instrument_is_the_mean_of_its_notes_at_one_velocity():
    names, means = instrument_embeddings(
        measurements(
            4,
            instrument=["b", "a", "b", "b"],
            velocity=[GRID_VELOCITY, GRID_VELOCITY, GRID_VELOCITY, 25],
            embedding=embeddings((1, 0), (5, 5), (3, 2), (100, 100)),
        )
    )
    assert list(names) == ["a", "b"]
    np.testing.assert_allclose(means[:, :2], [[5, 5], [2, 1]])


def test_copies_are_not_new_and_unseen_instruments_are():
    rng = np.random.default_rng(0)
    training = rng.standard_normal((200, 64))
    unseen = rng.standard_normal((101, 64))
    novelty = measure_novelty(unseen, unseen, training)
    assert novelty.share == pytest.approx(0.95, abs=0.011)
    assert (novelty.instruments, novelty.unseen) == (101, 101)
    copies = training[:50] + 0.1 * rng.standard_normal((50, 64))
    assert measure_novelty(copies, unseen, training).share == 0
    assert measure_novelty(100 + unseen, unseen, training).share == 1


def test_the_threshold_is_the_percentile_of_unseen_instruments():
    training, unseen = np.zeros((1, 1)), np.arange(101.0)[:, None]
    novelty = measure_novelty(np.array([[4.9], [-5.0], [7.0]]), unseen, training)
    assert novelty.threshold == pytest.approx(5)
    assert (novelty.share, novelty.median) == (pytest.approx(2 / 3), 5)
    with pytest.raises(ValueError, match="no instruments"):
        measure_novelty(np.zeros((0, 1)), unseen, training)
