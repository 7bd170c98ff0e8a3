"""Features of control grids: values by hand, there and back, gains."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from mechanical_ears.resynthesis.control_map import SILENCE_DB
from mechanical_ears.resynthesis.grid_features import (
    LATENT_LIMITS,
    RESIDUAL_LIMITS,
    apply_gain,
    from_features,
    from_relative_levels,
    peak_level,
    to_features,
    to_relative_levels,
)
from support.toy_control_maps import random_grid


def silent_grid():
    """A grid of one silent note."""
    grid = random_grid(1)
    for values in (grid.partials, grid.slots, grid.noise):
        values[:] = SILENCE_DB
    return grid


def test_relative_levels_by_hand():
    levels = np.array([-30.0, -50.0, -110.0, SILENCE_DB], dtype=np.float32)
    features = to_relative_levels(levels, -30.0)
    floor = 1e-4  # 80 dB below the loudest moment
    expected = 20 * np.log10(np.array([1, 0.1, floor, 10**-4.5]) + floor)
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_how_silent_silence_is_does_not_matter():
    quiet, quieter = (to_relative_levels(np.float32(level), -30.0) for level in (-150.0, -250.0))
    assert quieter == pytest.approx(-80)
    assert quiet - quieter == pytest.approx(20 * np.log10(1 + 10**-2), abs=1e-3)


@pytest.mark.parametrize(
    ("feature", "limits", "expected"),
    [
        (0.0, RESIDUAL_LIMITS, 20 * np.log10(1 - 1e-4) - 30),
        (60.0, RESIDUAL_LIMITS, 10.0),  # 40 dB above the loudest moment at most
        (60.0, LATENT_LIMITS, -10.0),  # 20 dB
        (-79.0, RESIDUAL_LIMITS, SILENCE_DB),  # within a fifth of the floor
        (-79.0, LATENT_LIMITS, 20 * np.log10(10**-3.95 - 1e-4) - 30),
        (-90.0, LATENT_LIMITS, SILENCE_DB),
    ],
)
def test_levels_of_features_by_hand(feature, limits, expected):
    level = from_relative_levels(np.float32(feature), -30.0, limits)
    assert level == pytest.approx(max(expected, SILENCE_DB), abs=1e-2)


def test_the_loudest_moment_by_hand():
    grid = silent_grid()
    assert peak_level(grid)[0] == pytest.approx(10 * np.log10(2 * 40 * 1e-12), abs=1e-3)
    grid.partials[0, :2, 5] = -20  # two sines in one frame
    assert peak_level(grid)[0] == pytest.approx(10 * np.log10(2 * 10**-2), abs=1e-3)
    grid.noise[0, 3, 7] = -10  # a band of noise has twice the squared amplitude of a sine
    assert peak_level(grid)[0] == pytest.approx(10 * np.log10(2 * 10**-1), abs=1e-3)


def test_other_features_and_their_limits():
    grid = random_grid(1)
    grid.cents[0, :2], grid.offsets[0, :2] = (-500.0, 500.0), (-500.0, 500.0)
    grid.fine[0, :3] = -60.0, -40.0, 30.0
    grid.ratios[0, :3] = 0.0, 2.0, 64.0
    features, limited = to_features(grid), to_features(grid, LATENT_LIMITS)
    assert features["cents"][0, :2].tolist() == [-500, 500]
    assert limited["cents"][0, :2].tolist() == [-60, 60]
    assert features["offsets"][0, :2].tolist() == [-200, 200]
    assert features["fine"][0, :3].tolist() == [0, -25, 12]
    np.testing.assert_allclose(features["ratios"][0, :3], [np.log2(1e-3), 1, 6])
    np.testing.assert_allclose(limited["ratios"][0, :3], np.log2([0.1, 2, 40]))
    np.testing.assert_array_equal(features["stiffness"], grid.stiffness)


@pytest.mark.parametrize("limits", [RESIDUAL_LIMITS, LATENT_LIMITS])
def test_there_and_back(limits):
    grid = random_grid(3)
    grid.partials[:, 40:] = SILENCE_DB
    grid.ratios[:] = np.abs(grid.ratios) + 0.1
    again = from_features(to_features(grid, limits), limits)
    for name in GRID_SHAPES:
        difference = np.abs(getattr(again, name) - getattr(grid, name))
        assert difference[getattr(grid, name) > -100].max() < 0.01, name
    assert (again.partials[:, 40:] < -110).all()


def test_gain_moves_levels_but_not_silence():
    louder = apply_gain(random_grid(2), np.array([6.0, -6.0]))
    np.testing.assert_allclose(louder.noise[0], random_grid(2).noise[0] + 6)
    np.testing.assert_allclose(louder.noise[1], random_grid(2).noise[1] - 6)
    np.testing.assert_array_equal(louder.cents, random_grid(2).cents)
    for gain in (20.0, -20.0):
        assert (apply_gain(silent_grid(), gain).slots == SILENCE_DB).all()
