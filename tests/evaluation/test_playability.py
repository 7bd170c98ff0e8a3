"""Figures of instruments that were made up so that they are known."""

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


def made(count, **given):
    """So many measured notes, of one instrument and without anything special unless given."""
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
        **{**values, **{name: np.asarray(value) for name, value in given.items()}}
    )


def placed(*places):
    """Embeddings with these first two numbers."""
    rows = np.zeros((len(places), 64), np.float32)
    rows[:, :2] = places
    return rows


def test_what_is_heard():
    keys = np.eye(128, dtype=np.float32)[[60, 72, 61, 60]]
    keys[3] = 1 / 128
    told = prediction_metrics(
        made(
            4,
            keys=keys,
            family=[0, 1, -1, 0],
            cents=[1.0, -3.0, np.nan, 2.0],
        )
    )
    # the network that knows nothing takes key 0 for the likeliest, which is a C, too
    assert (told.notes, told.pitch, told.pitch_but_octave) == (4, 0.25, 0.75)
    assert told.pitch_entropy == pytest.approx(np.log(128) / 4)
    assert told.family == pytest.approx(2 / 3)
    assert (told.cents, told.unclear) == (2.0, 0.25)
    assert np.isnan(prediction_metrics(made(2, family=[-1, -1])).family)


def test_families_taken_for_others():
    families = np.eye(11, dtype=np.float32)[[3, 5, 5]]
    confusion = family_confusion(made(3, family=[3, 3, -1], families=families))
    assert (confusion[3, 3], confusion[3, 5], confusion.sum()) == (1, 1, 2)


def test_consistency():
    """Two instruments 10 apart; each moves by 1 from key to key, but for one key not there."""
    keys = [*GRID_KEYS, *GRID_KEYS[:4]]
    places = [(n, 0) for n in range(5)] + [(n, 10) for n in range(4)]
    grid = made(
        9,
        pitch=[key + 1 for key in keys],
        instrument=["a"] * 5 + ["b"] * 4,
        embedding=placed(*places),
    )
    told = timbre_consistency(grid)
    assert (told.within, told.between, told.ratio) == pytest.approx((1, 10, 0.1))
    other_touch = made(1, velocity=[25], pitch=[GRID_KEYS[1]], embedding=placed((99, 99)))
    both = NoteMeasurements(
        **{
            name: np.concatenate([getattr(grid, name), getattr(other_touch, name)])
            for name in vars(grid)
        }
    )
    assert timbre_consistency(both) == told
    with pytest.raises(ValueError, match="too few"):
        timbre_consistency(grid[:5])


def test_velocity_steps():
    told = velocity_steps(
        made(
            6,
            velocity=[75, 25, 50, 25, 50, 100],
            pitch=[60, 60, 60, 61, 61, 62],
            loudness=[-20, -30, -26, -30, -31, 0],
        )
    )
    assert told.steps == 3
    assert told.louder == pytest.approx(2 / 3)  # −30 → −26 → −20, and −30 → −31
    assert told.decibels == 4
    halved = velocity_steps(made(2, velocity=[25, 75], loudness=[-30, -20]))
    assert halved.decibels == 5
    with pytest.raises(ValueError, match="two velocities"):
        velocity_steps(made(3, pitch=[1, 2, 3]))


def test_faults_are_counted_where_they_were_looked_for():
    told = fault_shares(
        made(4, clicks=[0, 2, 0, -1], offset=[False, False, True, True], silent=[False] * 4)
    )
    assert (told.notes, told.clicks, told.offset) == (3, 1 / 3, 1 / 3)
    assert (told.clipped, told.silent) == (0, 0)
    with pytest.raises(ValueError, match="nobody looked"):
        fault_shares(made(2, clicks=[-1, -1]))


def test_an_instrument_is_the_mean_of_its_notes_at_one_velocity():
    names, means = instrument_embeddings(
        made(
            4,
            instrument=["b", "a", "b", "b"],
            velocity=[GRID_VELOCITY, GRID_VELOCITY, GRID_VELOCITY, 25],
            embedding=placed((1, 0), (5, 5), (3, 2), (100, 100)),
        )
    )
    assert list(names) == ["a", "b"]
    np.testing.assert_allclose(means[:, :2], [[5, 5], [2, 1]])


def test_copies_are_not_new_and_strangers_are():
    chance = np.random.default_rng(0)
    known = chance.standard_normal((200, 64))
    strangers = chance.standard_normal((101, 64))
    told = measure_novelty(strangers, strangers, known)
    assert told.share == pytest.approx(0.95, abs=0.011)
    assert (told.instruments, told.strangers) == (101, 101)
    copies = known[:50] + 0.1 * chance.standard_normal((50, 64))
    assert measure_novelty(copies, strangers, known).share == 0
    assert measure_novelty(100 + strangers, strangers, known).share == 1


def test_the_threshold_is_the_percentile_of_strangers():
    known, strangers = np.zeros((1, 1)), np.arange(101.0)[:, None]
    told = measure_novelty(np.array([[4.9], [-5.0], [7.0]]), strangers, known)
    assert told.threshold == pytest.approx(5)
    assert (told.share, told.median) == (pytest.approx(2 / 3), 5)
    with pytest.raises(ValueError, match="no instruments"):
        measure_novelty(np.zeros((0, 1)), strangers, known)
