"""What recordings add to an imagined instrument, and at which keys."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.residual import (
    PITCH_LENGTH,
    STEP,
    Residual,
    differences,
    from_bytes,
    louder,
    mix_residuals,
    to_bytes,
    told,
    untold,
)
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid
from mechanical_ears.resynthesis.control_map import SILENCE_DB


def outlines(count, level=-50.0, seed=0):
    """Outlines with levels around ``level``, all else small."""
    chance = np.random.default_rng(seed)
    parts = {}
    for name, shape in GRID_SHAPES.items():
        values = chance.standard_normal((count, *shape)).astype(np.float32)
        parts[name] = values + (level if name in ("partials", "slots", "noise") else 0)
    return ControlGrid(**parts)


def carried(pitches, velocities, seed=1):
    count = len(pitches)
    rest = differences(outlines(count, seed=seed), outlines(count, seed=seed + 50))
    return Residual(
        np.array(pitches, float),
        np.array(velocities, float),
        np.zeros(count, dtype=np.int64),
        np.ones(count),
        rest,
    )


def test_recorded_notes_come_back_exactly():
    recorded, imagined = outlines(3, seed=1), outlines(3, seed=2)
    keys, forces = [48.0, 60.0, 60.0], [100.0, 100.0, 40.0]
    given = Residual(
        np.array(keys),
        np.array(forces),
        np.zeros(3, dtype=np.int64),
        np.ones(3),
        differences(recorded, imagined),
    )
    made = given.added_to(imagined, keys, forces, imagined)
    for name in GRID_SHAPES:
        back, wanted = getattr(made, name), getattr(recorded, name)
        if name == "ratios":
            wanted = np.maximum(wanted, 1e-3)
        error = np.abs(back - wanted).max()
        assert error < 0.05, name


def test_what_is_carried_fades_with_the_interval():
    given = carried([60], [100])
    keys = np.array([60.0, 65, 72, 108])
    weights = given.weights(keys, np.full(4, 100.0))[:, 0]
    expected = np.exp(-np.array([0, 5, 12, 48]) / PITCH_LENGTH)
    np.testing.assert_allclose(weights, expected, rtol=2e-3)


def test_between_two_recordings_both_count_and_the_nearer_more():
    given = carried([48, 60], [100, 100])
    near, middle = given.weights(np.array([51.0, 54.0]), np.array([100.0, 100.0]))
    assert 0 < near[1] < near[0] < 1
    assert middle[0] == pytest.approx(middle[1])
    assert 0.95 < middle.sum() < 1.01


def test_of_the_imagined_step_a_part_is_believed():
    recorded, here, there = outlines(1), outlines(1, seed=2), outlines(1, seed=3)
    rest = differences(recorded, there)
    given = Residual(np.array([60.0]), np.array([100.0]), np.array([0]), np.ones(1), rest)
    made = given.added_to(here, [60.0], [100.0], there)
    expected = recorded.cents + STEP * (here.cents - there.cents)
    np.testing.assert_allclose(made.cents, expected, atol=0.02)
    assert given.nearest_pitches([20, 90]).tolist() == [60, 60]


def test_two_takes_of_a_note_are_averaged():
    given = carried([60, 60], [100, 100])
    weights = given.weights(np.array([60.0]), np.array([100.0]))
    np.testing.assert_allclose(weights, 0.5, atol=1e-3)


def test_silence_stays_silent():
    silent, imagined = outlines(1), outlines(1, seed=2)
    silent.partials[:, 5:] = SILENCE_DB
    imagined.partials[:, 5:] = SILENCE_DB + 3  # how silent does not matter
    rest = differences(silent, imagined)
    assert np.abs(rest["partials"][:, 5:]).max() < 1
    given = Residual(np.array([60.0]), np.array([99.0]), np.array([0]), np.ones(1), rest)
    assert given.added_to(imagined, [70], [99], imagined).partials[:, 5:].max() < -110


def test_there_and_back():
    plain = outlines(3)
    plain.partials[:, 40:] = SILENCE_DB
    plain.ratios[:] = np.abs(plain.ratios) + 0.1
    back = untold(told(plain))
    for name in GRID_SHAPES:
        np.testing.assert_allclose(getattr(back, name), getattr(plain, name), atol=0.01)


def test_a_morph_has_a_share_of_each():
    one, other = carried([60], [100], seed=1), carried([60, 72], [100, 100], seed=7)
    both = mix_residuals([(0.25, one), (0.75, other)])
    plain = outlines(4, seed=9)
    asked = [57.0, 60, 66, 90], [100.0, 80, 100, 100]
    made = both.added_to(plain, *asked, plain)
    first, second = one.added_to(plain, *asked, plain), other.added_to(plain, *asked, plain)
    np.testing.assert_allclose(made.cents, 0.25 * first.cents + 0.75 * second.cents, atol=1e-4)
    again = mix_residuals([(0.5, both), (0.5, None)])
    np.testing.assert_allclose(again.shares, both.shares / 2)
    assert mix_residuals([(1.0, None), (0.0, one)]) is None


def test_louder():
    loud = louder(outlines(1), 6.0)
    np.testing.assert_allclose(loud.noise, outlines(1).noise + 6)
    silent = outlines(1)
    silent.slots[:] = SILENCE_DB
    assert (louder(silent, 20.0).slots == SILENCE_DB).all()
    assert (louder(silent, -20.0).slots == SILENCE_DB).all()


def test_kept_in_a_file():
    given = carried([60, 61.5], [100, 3])
    back = from_bytes(to_bytes(given))
    np.testing.assert_array_equal(back.pitches, given.pitches)
    np.testing.assert_array_equal(back.velocities, given.velocities)
    np.testing.assert_allclose(back.differences["noise"], given.differences["noise"], atol=0.02)


def test_the_file_is_the_librarys():
    safetensors = pytest.importorskip("safetensors.numpy")
    read = safetensors.load(to_bytes(carried([60], [100])))
    assert read["pitches"].tolist() == [60]
    assert {name: read[name].shape[1:] for name in GRID_SHAPES} == GRID_SHAPES


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "other", "newer", "nan"])
def test_damage_is_told(damage):
    data = to_bytes(carried([60], [100]))
    if damage == "nan":
        broken = carried([60], [100])
        broken.differences["fine"][:] = np.nan
        data = to_bytes(broken)
    bad = {
        "empty": b"",
        "cut": data[:-100],
        "text": b"this is no instrument, it is a text of some length",
        "other": data.replace(b"mechanical-ears-carried", b"mechanical-ears-curried"),
        "newer": data.replace(b'"version":"1"', b'"version":"2"'),
        "nan": data,
    }[damage]
    with pytest.raises(EarsError) as caught:
        from_bytes(bad, "some.safetensors")
    assert "some.safetensors: " in str(caught.value)
    assert ("update" in str(caught.value)) == (damage == "newer")
