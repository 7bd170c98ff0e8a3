"""Distances between sets of points whose answers are known."""

import numpy as np
import pytest

from mechanical_ears.set_metrics import (
    bins_apart,
    compare_sets,
    density_coverage,
    frechet_distance,
    gaussian_distance,
    inception_score,
    kernel_distance,
    kmeans_centres,
    mean_entropy,
    nearest_distances,
    neighbour_distances,
    precision_recall,
)


def cloud(seed, count=1000, features=8, spread=1.0, place=0.0):
    return place + spread * np.random.default_rng(seed).standard_normal((count, features))


def test_frechet_of_gaussians_is_the_closed_form():
    """Diagonal: Σ (μ − ν)² + (σ − τ)²; unchanged by a common rotation, as for all that commute."""
    means, others = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    spreads, other_spreads = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
    expected = np.sum((means - others) ** 2) + np.sum((spreads - other_spreads) ** 2)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    for basis in (np.eye(3), turn):
        distance = gaussian_distance(
            basis @ means,
            basis @ np.diag(spreads**2) @ basis.T,
            basis @ others,
            basis @ np.diag(other_spreads**2) @ basis.T,
        )
        assert distance == pytest.approx(expected, rel=1e-7)


def test_frechet_of_covariances_that_do_not_commute():
    """For 2 × 2 matrices tr √(AB) = √(tr AB + 2 √det AB)."""
    one, other = np.array([[2.0, 0.8], [0.8, 1.0]]), np.array([[1.0, -0.5], [-0.5, 3.0]])
    product = one @ other
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(one) + np.trace(other) - 2 * root
    distance = gaussian_distance(np.zeros(2), one, np.zeros(2), other)
    assert distance == pytest.approx(expected, rel=1e-7)


def test_frechet_of_samples_finds_the_shift_and_the_spread():
    distance = frechet_distance(cloud(0, 20_000), cloud(1, 20_000, spread=1.5, place=0.5))
    assert distance == pytest.approx(8 * (0.5**2 + 0.5**2), rel=0.03)
    points = cloud(2)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_is_unbiased():
    """Its mean over pairs of sets of the same distribution is 0, within its standard error."""
    distances = [kernel_distance(cloud(2 * n, 60), cloud(2 * n + 1, 60)) for n in range(200)]
    assert abs(np.mean(distances)) < 3 * np.std(distances) / np.sqrt(len(distances))
    assert kernel_distance(cloud(0), cloud(1, place=0.5)) > 10 * np.std(distances)


def test_kernel_distance_by_hand():
    """Two points each, one feature: k = (xy/s² + 1)³ with s² the mean square of the real."""
    real, generated = np.array([[1.0], [-1.0]]), np.array([[2.0], [0.0]])
    # within real k(1, −1) = 0; within generated k(2, 0) = 1; between: 27, 1, −1, 1
    assert kernel_distance(real, generated) == pytest.approx(0 + 1 - 2 * (27 + 1 - 1 + 1) / 4)


def test_precision_and_recall_of_equal_and_of_disjoint_sets():
    points = cloud(0, 300)
    assert precision_recall(points, points) == (1, 1)
    assert precision_recall(points, points + 100) == (0, 0)


def test_recall_falls_with_missing_modes_and_precision_with_bad_notes():
    both = np.concatenate([cloud(0, 500), cloud(1, 500, place=20)])
    one_mode = cloud(2, 1000)
    precision, recall = precision_recall(both, one_mode)
    assert precision > 0.8
    assert 0.4 < recall < 0.5
    swapped = precision_recall(one_mode, both)
    assert swapped == (recall, precision)


def test_density_and_coverage():
    points = cloud(0, 500)
    density, coverage = density_coverage(points, cloud(1, 500))
    assert density == pytest.approx(1, abs=0.15)
    assert coverage == pytest.approx(31 / 32, abs=0.03)
    assert density_coverage(points, points + 100) == (0, 0)
    # all generated notes in one place: in the balls of the real notes there, and in few others
    density, coverage = density_coverage(points, np.repeat(points[:1], 500, axis=0))
    assert coverage < 0.1


def test_density_on_a_line():
    """Balls around 0, 1, 2, 3 to their first neighbours all have the radius 1."""
    real = np.arange(4.0)[:, None]
    density, coverage = density_coverage(real, np.array([[0.5], [9.0]]), neighbour=1)
    assert (density, coverage) == (1.0, 0.5)


def test_bins_of_equal_and_of_different_sets():
    points = cloud(0, 2000)
    assert bins_apart(points, points) == 0
    assert bins_apart(points, cloud(1, 2000)) < 0.2
    assert bins_apart(points, points + 100) > 0.9


def test_bins_by_the_z_test():
    """Two cells, 50:50 of 100 against 36:64 (z = 1.99, different) and 37:63 (z = 1.85, not)."""
    real = np.repeat([[0.0], [10.0]], 50, axis=0)
    for share, expected in ((36, 1.0), (37, 0.0)):
        other = np.repeat([[0.0], [10.0]], [share, 100 - share], axis=0)
        assert bins_apart(real, other, bins=2) == expected


def test_centres_of_clear_groups():
    places = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
    points = np.concatenate([place + cloud(n, 100, 2) for n, place in enumerate(places)])
    found = kmeans_centres(points, 3)
    assert nearest_distances(places, found).max() < 0.5


def test_neighbours():
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    np.testing.assert_allclose(neighbour_distances(line, 1), [1, 1, 2, 4])
    np.testing.assert_allclose(neighbour_distances(line, 2), [3, 2, 3, 6])
    np.testing.assert_allclose(nearest_distances(np.array([[2.5], [-1.0]]), line), [0.5, 1.0])
    with pytest.raises(ValueError, match="no neighbour number 4"):
        neighbour_distances(line, 4)


def test_inception_score_and_entropy():
    sure, unsure = np.eye(10)[np.arange(100) % 10], np.full((100, 10), 0.1)
    assert inception_score(sure) == pytest.approx(10)
    assert inception_score(unsure) == pytest.approx(1)
    assert inception_score(np.eye(10)[np.zeros(100, dtype=int)]) == pytest.approx(1)
    assert mean_entropy(sure) == 0
    assert mean_entropy(unsure) == pytest.approx(np.log(10))


def test_all_metrics_of_equal_and_of_different_sets():
    same = compare_sets(cloud(0).astype(np.float32), cloud(1).astype(np.float32))
    other = compare_sets(cloud(0), cloud(1, place=3))
    assert same.frechet < 0.1 < other.frechet
    assert (same.real, same.generated) == (1000, 1000)
    assert min(same.precision, same.recall, same.coverage) > 0.85
    assert max(other.precision, other.recall, other.coverage) < 0.1
    assert same.bins_apart < 0.2 < other.bins_apart


@pytest.mark.parametrize(
    ("real", "generated", "words"),
    [
        (cloud(0, 49), cloud(0, 50), "real has the shape"),
        (cloud(0, 50), cloud(0, 50, 9), "8 features against 9"),
        (cloud(0, 50), cloud(0, 50) * np.nan, "generated holds a value that is not finite"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(real, generated, words):
    with pytest.raises(ValueError, match=words):
        compare_sets(real, generated)
