"""Random numbers that are the same in every version of NumPy."""

from __future__ import annotations

import numpy as np

from mechanical_ears.rng import normal, uniform


def test_uniform_numbers_of_a_seed():
    expected = [0.6250954666046671, 0.8972138009695755, 0.7756856902451935]
    np.testing.assert_allclose(uniform(7, 3), expected, rtol=1e-14)


def test_normal_numbers_by_hand():
    """Box and Muller's formula of four uniform numbers."""
    u, v = uniform(3, 4).reshape(2, 2)
    radius = np.sqrt(-2 * np.log(u))
    expected = [*(radius * np.cos(2 * np.pi * v)), *(radius * np.sin(2 * np.pi * v))]
    np.testing.assert_allclose(normal(3, 4), expected, rtol=1e-6)
    np.testing.assert_array_equal(normal(3, 3), normal(3, 4)[:3])


def test_the_distribution_of_normal_numbers():
    values = normal(11, 100_000)
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert abs(np.corrcoef(values[:50_000], values[50_000:])[0, 1]) < 0.015
