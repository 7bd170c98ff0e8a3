"""Linear interpolation: lines are reproduced, and all ways to interpolate agree."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.interpolation import interpolation


def uneven_grid(frames=40, seed=0):
    return np.cumsum(np.random.default_rng(seed).uniform(0.1, 1.0, frames))


def test_a_line_is_reproduced():
    grid = uneven_grid()
    points = np.linspace(grid[0], grid[-1], 301)
    values = np.stack([2 - 3 * grid, grid])
    expected = np.stack([2 - 3 * points, points])
    at_points = interpolation(grid, points, np.float64)
    np.testing.assert_allclose(at_points(values), expected, atol=1e-12)
    np.testing.assert_allclose(at_points.rows(values.T), expected.T, atol=1e-12)
    np.testing.assert_allclose(values @ at_points.weights(), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_numpys_interpolation(dtype):
    random = np.random.default_rng(1)
    grid, values = uneven_grid(), random.standard_normal(40).astype(dtype)
    points = random.uniform(grid[0] - 2, grid[-1] + 2, 500)  # also outside of the grid
    at_points = interpolation(grid, points, dtype)
    assert at_points.fraction.dtype == dtype
    assert at_points(values).dtype == dtype
    expected = np.interp(points, grid, values)
    for found in (at_points(values), at_points.rows(values[:, None])[:, 0]):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_frames_are_read_exactly():
    grid, values = uneven_grid(), np.random.default_rng(2).standard_normal(40)
    np.testing.assert_array_equal(interpolation(grid, grid, np.float64)(values), values)
    outside = np.array([grid[0] - 1, grid[-1] + 1])
    np.testing.assert_array_equal(interpolation(grid, outside)(values), values[[0, -1]])


def test_a_grid_of_one_frame():
    at_points = interpolation(np.array([3.0]), np.array([0.0, 3.0, 7.0]))
    np.testing.assert_array_equal(at_points(np.array([5.0])), [5, 5, 5])
    np.testing.assert_array_equal(at_points.weights(), [[1, 1, 1]])
