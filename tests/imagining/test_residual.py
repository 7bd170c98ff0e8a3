"""What recordings add to an imagined instrument, and at which keys."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.residual import (
    BELIEVED_STEP,
    NOISE_VARIANCE,
    PITCH_SCALE,
    Residual,
    from_bytes,
    grid_differences,
    kernel,
    mix_residuals,
    to_bytes,
)
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from mechanical_ears.resynthesis.control_map import SILENCE_DB
from support.toy_control_maps import random_grid


def residual_of(pitches, velocities, differences):
    """A residual of recordings of one instrument, without maps."""
    count = len(pitches)
    return Residual(
        np.array(pitches, dtype=float),
        np.array(velocities, dtype=float),
        groups=np.zeros(count, dtype=np.int64),
        shares=np.ones(count),
        differences=differences,
    )


def random_residual(pitches, velocities, seed=1):
    count = len(pitches)
    recorded, imagined = random_grid(count, seed=seed), random_grid(count, seed=seed + 50)
    return residual_of(pitches, velocities, grid_differences(recorded, imagined))


def test_the_kernel_by_hand():
    values = kernel(
        np.array([60.0]), np.array([100.0]), np.array([60.0, 70, 60]), np.array([100.0, 100, 55])
    )
    np.testing.assert_allclose(values, [[1, np.exp(-10 / 80), np.exp(-45 / 90)]])


def test_weights_of_one_recording_by_hand():
    weights = random_residual([60], [100]).weights(np.array([60.0, 76]), np.array([100.0, 82]))
    expected = np.array([1, np.exp(-16 / 80 - 18 / 90)]) / (1 + NOISE_VARIANCE)
    np.testing.assert_allclose(weights[:, 0], expected)


def test_weights_of_two_recordings_by_hand():
    """At a third key, by the inverse of a matrix of two rows and columns."""
    near, far, apart = np.exp(-4 / 80), np.exp(-8 / 80), np.exp(-12 / 80)
    own = 1 + NOISE_VARIANCE
    expected = np.array([near * own - far * apart, far * own - near * apart]) / (own**2 - apart**2)
    weights = random_residual([48, 60], [100, 100]).weights(np.array([52.0]), np.array([100.0]))
    np.testing.assert_allclose(weights[0], expected)


def test_at_a_recorded_key_the_recording_comes_back():
    recorded, imagined = random_grid(3, seed=1), random_grid(3, seed=2)
    pitches, velocities = [48.0, 60.0, 60.0], [100.0, 100.0, 40.0]
    residual = residual_of(pitches, velocities, grid_differences(recorded, imagined))
    result = residual.add_to(imagined, pitches, velocities, imagined)
    for name in GRID_SHAPES:
        expected = getattr(recorded, name)
        if name == "ratios":
            expected = np.maximum(expected, 1e-3)
        assert np.abs(getattr(result, name) - expected).max() < 0.05, name


def test_the_weight_fades_with_the_interval():
    pitches = np.array([60.0, 65, 72, 108])
    weights = random_residual([60], [100]).weights(pitches, np.full(4, 100.0))[:, 0]
    expected = np.exp(-np.array([0, 5, 12, 48]) / PITCH_SCALE)
    np.testing.assert_allclose(weights, expected, rtol=2e-3)


def test_between_two_recordings_both_count_and_the_nearer_more():
    residual = random_residual([48, 60], [100, 100])
    near, middle = residual.weights(np.array([51.0, 54.0]), np.array([100.0, 100.0]))
    assert 0 < near[1] < near[0] < 1
    assert middle[0] == pytest.approx(middle[1])
    assert 0.95 < middle.sum() < 1.01


def test_a_share_of_the_imagined_step_is_believed():
    recorded, grid, at_nearest = random_grid(1), random_grid(1, seed=2), random_grid(1, seed=3)
    residual = residual_of([60], [100], grid_differences(recorded, at_nearest))
    result = residual.add_to(grid, [60.0], [100.0], at_nearest)
    expected = recorded.cents + BELIEVED_STEP * (grid.cents - at_nearest.cents)
    np.testing.assert_allclose(result.cents, expected, atol=0.02)
    assert residual.nearest_pitches([20, 90]).tolist() == [60, 60]


def test_two_recordings_of_a_note_are_averaged():
    weights = random_residual([60, 60], [100, 100]).weights(np.array([60.0]), np.array([100.0]))
    np.testing.assert_allclose(weights, 0.5, atol=1e-3)


def test_silence_stays_silent():
    silent, imagined = random_grid(1), random_grid(1, seed=2)
    silent.partials[:, 5:] = SILENCE_DB
    imagined.partials[:, 5:] = SILENCE_DB + 3  # how silent does not matter
    differences = grid_differences(silent, imagined)
    assert np.abs(differences["partials"][:, 5:]).max() < 1
    residual = residual_of([60], [99], differences)
    assert residual.add_to(imagined, [70], [99], imagined).partials[:, 5:].max() < -110


def test_a_morph_has_a_share_of_each():
    first, second = (
        random_residual([60], [100], seed=1),
        random_residual([60, 72], [100] * 2, seed=7),
    )
    mixed = mix_residuals([(0.25, first), (0.75, second)])
    grid = random_grid(4, seed=9)
    notes = [57.0, 60, 66, 90], [100.0, 80, 100, 100]
    cents, first_cents, second_cents = (
        each.add_to(grid, *notes, grid).cents for each in (mixed, first, second)
    )
    np.testing.assert_allclose(cents, 0.25 * first_cents + 0.75 * second_cents, atol=1e-4)
    half = mix_residuals([(0.5, mixed), (0.5, None)])
    np.testing.assert_allclose(half.shares, mixed.shares / 2)
    assert mix_residuals([(1.0, None), (0.0, first)]) is None


def test_written_and_read_again():
    residual = random_residual([60, 61.5], [100, 3])
    again = from_bytes(to_bytes(residual))
    np.testing.assert_array_equal(again.pitches, residual.pitches)
    np.testing.assert_array_equal(again.velocities, residual.velocities)
    for name, values in residual.differences.items():
        np.testing.assert_array_equal(again.differences[name], values)
    assert to_bytes(again) == to_bytes(residual)


def test_the_file_is_safetensors():
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = safetensors.load(to_bytes(random_residual([60], [100])))
    assert arrays["pitches"].tolist() == [60]
    assert {name: arrays[name].shape[1:] for name in GRID_SHAPES} == GRID_SHAPES


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "other", "newer", "nan"])
def test_damage_is_reported(damage):
    data = to_bytes(random_residual([60], [100]))
    not_finite = random_residual([60], [100])
    not_finite.differences["fine"][:] = np.nan
    damaged = {
        "empty": b"",
        "cut": data[:-100],
        "text": b"this is not an instrument, it is a text of some length",
        "other": data.replace(b"mechanical-ears-carried", b"mechanical-ears-curried"),
        "newer": data.replace(b'"version":"1"', b'"version":"2"'),
        "nan": to_bytes(not_finite),
    }[damage]
    with pytest.raises(EarsError) as caught:
        from_bytes(damaged, "some.safetensors")
    assert "some.safetensors: " in str(caught.value)
    assert ("update" in str(caught.value)) == (damage == "newer")
