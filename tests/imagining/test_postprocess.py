"""Clean-up of generated control grids."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.imagining.patch import TIMBRE_SIZE
from mechanical_ears.imagining.postprocess import clean_grid
from mechanical_ears.resynthesis.control_grid import grid_noise_times, grid_times


@pytest.fixture
def grid(toy):
    """Control grid of two plucked strings."""
    return toy.generate(np.zeros(TIMBRE_SIZE), [60, 60], [100, 100])


def test_a_small_unrest_of_the_pitch_becomes_none(grid):
    grid.cents[0] = 20 + np.sin(grid_times() * 30)  # one cent
    grid.cents[1] = 20 + 30 * np.sin(grid_times() * 30)
    clean = clean_grid(grid)
    assert not clean.cents[0].any()
    assert np.ptp(clean.cents[1]) > 55
    assert abs(np.mean(clean.cents[1])) < 3


def test_partials_move_towards_tune(grid):
    grid.offsets[:] = 2.0
    grid.offsets[1, 4] = -45.0
    offsets = clean_grid(grid).offsets
    assert not offsets[0].any()
    assert np.flatnonzero(offsets[1]).tolist() == [4]
    assert offsets[1, 4] == -30.0


def test_the_tuning_of_recordings_is_kept(grid):
    grid.offsets[:] = 2.0
    grid.offsets[0, 4] = -9.0
    offsets = clean_grid(grid, recorded=True).offsets[0]
    assert np.flatnonzero(offsets).tolist() == [4]
    assert offsets[4] == -9.0


def test_nothing_rises_after_the_key_up(grid):
    before = grid.partials[0, 3, grid_times() <= 3].max()
    grid.partials[0, 3, grid_times() > 3.02] = -10.0
    grid.noise[0, 0, grid_noise_times() > 3.02] = -10.0
    clean = clean_grid(grid)
    assert clean.partials[0, 3, grid_times() > 3].max() < before
    held = grid_times() <= 3
    np.testing.assert_array_equal(clean.partials[0, :, held], grid.partials[0, :, held])
    late = (grid_noise_times() > 2.3) & (grid_noise_times() <= 2.7)
    highest = clean.noise[0, 0, grid_noise_times() > 3].max()
    np.testing.assert_allclose(highest, grid.noise[0, 0, late].max() + 2)
    assert clean_grid(grid, recorded=True).partials[0, 3].max() == -10.0


def test_rows_that_are_never_audible_become_silent(grid):
    grid.partials[0, 20], grid.partials[0, 21] = -111.0, -109.0
    rows = clean_grid(grid).partials[0]
    assert rows[20].max() == -120.0
    assert rows[21].max() == -109.0
