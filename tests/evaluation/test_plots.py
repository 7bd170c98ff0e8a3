"""The plane in which notes are plotted, for points whose principal directions are known."""

import numpy as np

from mechanical_ears.evaluation.plots import principal_plane


def test_principal_plane_of_an_ellipsoid():
    """Deviations 1, 3 and 2 along the axes: the plane is that of the second and third axis."""
    corners = np.array(np.meshgrid([-1, 1], [-3, 3], [-2, 2])).reshape(3, -1).T
    mean, directions = principal_plane(corners + np.array([5.0, 0.0, -1.0]))
    np.testing.assert_allclose(mean, [5, 0, -1], atol=1e-12)
    np.testing.assert_allclose(directions, [[0, 1, 0], [0, 0, 1]], atol=1e-12)


def test_principal_directions_do_not_depend_on_the_sign_of_points():
    points = np.random.default_rng(0).standard_normal((50, 4)) * [1, 5, 2, 3]
    _, directions = principal_plane(points)
    _, mirrored = principal_plane(-points)
    np.testing.assert_allclose(directions, mirrored, atol=1e-12)
    assert (directions.max(axis=1) == np.abs(directions).max(axis=1)).all()
