"""Metrics of two sets of vectors: Fréchet and kernel distance, precision, recall, coverage, NDB.

A vector x is a note in the features of the evaluation network; X is a set of real notes, Y of
generated ones.

Fréchet distance of the Gaussians fitted to both (Heusel et al., "GANs trained by a two time-scale
update rule converge to a local Nash equilibrium", 2017):

    |μ_X − μ_Y|² + tr(Σ_X + Σ_Y − 2 (Σ_X^½ Σ_Y Σ_X^½)^½)

Kernel distance: the squared maximum mean discrepancy (MMD) with k(x, y) = (x·y / d + 1)³, unbiased
and therefore sometimes below 0 (Bińkowski et al., "Demystifying MMD GANs", 2018). Here x is divided
by the root mean square of all real features, so that the kernel does not depend on their scale:

    Σ_{i≠j} k(x_i, x_j) / m(m−1)  +  Σ_{i≠j} k(y_i, y_j) / n(n−1)  −  2 Σ k(x_i, y_j) / mn

Precision and recall (Kynkäänniemi et al., "Improved precision and recall metric for assessing
generative models", 2019): a set covers a point if the point lies in a ball around one of the set's
points whose radius is the distance to that point's third neighbour. Precision is the share of Y
that X covers, recall the share of X that Y covers.

Density and coverage (Naeem et al., "Reliable fidelity and diversity metrics for generative models",
2020) use balls to the k = 5th neighbour around X alone, which outliers of Y cannot enlarge. Density
is the number of these balls that a point of Y lies in, divided by k; coverage is the share of balls
that hold a point of Y. Density may pass 1; the coverage of another sample of the same distribution
is 1 − Π (n − i) / (2n − i) over i = 1 … 5, about 31/32.

NDB / k, the share of statistically different bins (Richardson and Weiss, "On GANs and GMMs", 2018):
k-means cells of X, and the share of them whose proportions of X and of Y differ at the 5 % level of
the two-proportion z-test. For samples of the same distribution it is about 0.05.

The Fréchet distance of small sets is biased upwards, and precision and recall depend on the sizes,
too: compare figures of sets of the same size only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

PRECISION_NEIGHBOUR: Final = 3  # k of the k-th neighbour, to which balls reach
DENSITY_NEIGHBOUR: Final = 5
BIN_COUNT: Final = 50
Z_CRITICAL: Final = 1.959964  # standard errors: two-sided 5 %
BLOCK_POINTS: Final = 1024  # points whose distances are in memory at once
MAX_ROUNDS: Final = 50  # of k-means


@dataclass(frozen=True)
class SetMetrics:
    """Metrics of a set of generated notes against real ones; formulas in the module.

    Attributes:
        real: number of real notes.
        generated: number of generated notes.
        frechet: 0 or above, in squared feature units.
        kernel: about 0 for sets of the same distribution.
        precision: 0..1.
        recall: 0..1.
        density: 0 or above, about 1 for sets of the same distribution.
        coverage: 0..1.
        bins_apart: 0..1, NDB / 50, share of statistically different bins.
    """

    real: int
    generated: int
    frechet: float
    kernel: float
    precision: float
    recall: float
    density: float
    coverage: float
    bins_apart: float


def compare_sets(real: Floats, generated: Floats, *, seed: int = 0) -> SetMetrics:
    """Compute all metrics of two sets.

    Args:
        real: (notes, features).
        generated: (notes, features).
        seed: of the initial centres of the bins.

    Raises:
        ValueError: a set has fewer than 50 notes, other features than the other, or holds a value
            that is not finite.
    """
    for name, points in (("real", real), ("generated", generated)):
        if points.ndim != 2 or len(points) < BIN_COUNT:
            raise ValueError(
                f"{name} has the shape {points.shape}, not ({BIN_COUNT} or more, features)"
            )
        if not np.isfinite(points).all():
            raise ValueError(f"{name} holds a value that is not finite")
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"{real.shape[1]} features against {generated.shape[1]}")
    precision, recall = precision_recall(real, generated)
    density, coverage = density_coverage(real, generated)
    return SetMetrics(
        real=len(real),
        generated=len(generated),
        frechet=frechet_distance(real, generated),
        kernel=kernel_distance(real, generated),
        precision=precision,
        recall=recall,
        density=density,
        coverage=coverage,
        bins_apart=bins_apart(real, generated, seed=seed),
    )


def frechet_distance(real: Floats, generated: Floats) -> float:
    """Fréchet distance of the Gaussians fitted to two sets (notes, features).

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0
    """
    sets = (np.asarray(points, dtype=np.float64) for points in (real, generated))
    moments = [(each.mean(axis=0), np.atleast_2d(np.cov(each, rowvar=False))) for each in sets]
    return gaussian_distance(*moments[0], *moments[1])


def gaussian_distance(
    mean: Doubles, covariance: Doubles, other_mean: Doubles, other_covariance: Doubles
) -> float:
    """Fréchet distance of two Gaussians; means (features,), covariances (features, features)."""
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    between = np.linalg.eigvalsh(root @ other_covariance @ root)
    spread = np.trace(covariance) + np.trace(other_covariance)
    shift = float(np.sum((mean - other_mean) ** 2))
    return max(0.0, shift + float(spread) - 2 * float(np.sqrt(np.maximum(between, 0)).sum()))


def kernel_distance(real: Floats, generated: Floats) -> float:
    """Unbiased squared maximum mean discrepancy of two sets (notes, features)."""
    scale = float(np.sqrt(np.mean(np.square(real, dtype=np.float64)))) or 1.0
    one, other = (np.asarray(points, dtype=np.float64) / scale for points in (real, generated))

    def kernel(first: Doubles, second: Doubles) -> Doubles:
        return np.asarray((first @ second.T / first.shape[1] + 1) ** 3)

    def within(points: Doubles) -> float:
        values = kernel(points, points)
        return float((values.sum() - np.trace(values)) / (len(points) * (len(points) - 1)))

    return within(one) + within(other) - 2 * float(kernel(one, other).mean())


def precision_recall(
    real: Floats, generated: Floats, neighbour: int = PRECISION_NEIGHBOUR
) -> tuple[float, float]:
    """Precision and recall, 0..1, of two sets (notes, features)."""

    def covered_share(points: Floats, by: Floats) -> float:
        radii = neighbour_distances(by, neighbour)
        inside = [(squares <= radii**2).any(axis=1) for squares in _squared_distances(points, by)]
        return float(np.concatenate(inside).mean())

    return covered_share(generated, real), covered_share(real, generated)


def density_coverage(
    real: Floats, generated: Floats, neighbour: int = DENSITY_NEIGHBOUR
) -> tuple[float, float]:
    """Density, 0 or above, and coverage, 0..1, of two sets (notes, features)."""
    radii = neighbour_distances(real, neighbour)
    count, filled = 0, np.zeros(len(real), dtype=np.bool_)
    for squares in _squared_distances(generated, real):
        inside = squares <= radii**2
        count += int(inside.sum())
        filled |= inside.any(axis=0)
    return count / (neighbour * len(generated)), float(filled.mean())


def neighbour_distances(points: Floats, neighbour: int) -> Doubles:
    """Distance of each point (points, features) to its k-th neighbour, k = ``neighbour``.

    Raises:
        ValueError: there are too few points.
    """
    if len(points) <= neighbour:
        raise ValueError(f"{len(points)} points have no neighbour number {neighbour}")
    blocks = _squared_distances(points, points)
    nearest = [np.partition(squares, neighbour, axis=1)[:, neighbour] for squares in blocks]
    return np.concatenate([np.sqrt(squares) for squares in nearest])


def nearest_distances(points: Floats, others: Floats) -> Doubles:
    """Distance of each point (points, features) to the nearest of others (others, features)."""
    blocks = _squared_distances(points, others)
    return np.concatenate([np.sqrt(squares.min(axis=1)) for squares in blocks])


def bins_apart(real: Floats, generated: Floats, bins: int = BIN_COUNT, *, seed: int = 0) -> float:
    """NDB / bins: share of k-means cells of the real notes that generated notes fill differently.

    Args:
        real: (notes, features).
        generated: (notes, features).
        bins: number of cells.
        seed: of the initial centres.
    """
    centres = kmeans_centres(real, bins, seed)
    real_counts, generated_counts = (
        np.bincount(_nearest_indices(points, centres), minlength=bins)
        for points in (real, generated)
    )
    pooled = (real_counts + generated_counts) / (len(real) + len(generated))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(real) + 1 / len(generated)))
    difference = np.abs(real_counts / len(real) - generated_counts / len(generated))
    return float((difference > Z_CRITICAL * error).mean())


def kmeans_centres(points: Floats, count: int, seed: int = 0) -> Doubles:
    """Centres (count, features) of k-means: Lloyd's algorithm, initialised by k-means++.

    Args:
        points: (points, features).
        count: number of clusters.
        seed: of the initial centres.
    """
    rng = np.random.default_rng(seed)
    values = np.asarray(points, dtype=np.float64)
    initial = [values[rng.integers(len(values))]]
    squares = np.square(values - initial[0]).sum(axis=1)
    while len(initial) < count:
        total = float(squares.sum())
        share = squares / total if total > 0 else np.full(len(values), 1 / len(values))
        initial.append(values[rng.choice(len(values), p=share)])
        squares = np.minimum(squares, np.square(values - initial[-1]).sum(axis=1))
    centres = np.stack(initial)
    assigned = np.full(len(values), -1)
    for _ in range(MAX_ROUNDS):
        nearest = _nearest_indices(values, centres)
        if np.array_equal(nearest, assigned):
            break
        assigned = nearest
        sizes = np.bincount(assigned, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, assigned, values)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
    return centres


def inception_score(probabilities: Floats) -> float:
    """Exponential of the mean information of a note on its class; probabilities (notes, classes).

    1 if all predictions are alike or all are uniform, up to the number of classes if each note is
    predicted with certainty and all classes occur equally often (Salimans et al., "Improved
    techniques for training GANs", 2016).
    """
    mean = np.asarray(probabilities, dtype=np.float64).mean(axis=0, keepdims=True)
    return float(np.exp(_entropy(mean)[0] - _entropy(probabilities).mean()))


def mean_entropy(probabilities: Floats) -> float:
    """Mean entropy of predictions in nats, 0 if all are certain; probabilities (notes, classes).

    GANSynth's pitch entropy (Engel et al., "GANSynth: adversarial neural audio synthesis", 2019).
    """
    return float(_entropy(probabilities).mean())


def _entropy(probabilities: Floats) -> Doubles:
    values = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-(values * np.log(np.maximum(values, 1e-300))).sum(axis=1))


def _squared_distances(points: Floats, others: Floats) -> Iterator[Doubles]:
    """Squared distances (points, others), a block of points at a time.

    Both are centred on the mean of the others first: |x − y|² = |x|² + |y|² − 2 x·y loses fewer
    digits the smaller x and y are.
    """
    mean = np.asarray(others, dtype=np.float64).mean(axis=0)
    other_points = np.asarray(others, dtype=np.float64) - mean
    norms = np.square(other_points).sum(axis=1)
    for first in range(0, len(points), BLOCK_POINTS):
        centred = np.asarray(points[first : first + BLOCK_POINTS], dtype=np.float64) - mean
        squares = np.square(centred).sum(axis=1)[:, None] + norms - 2 * centred @ other_points.T
        yield np.maximum(squares, 0)


def _nearest_indices(points: Floats, others: Floats) -> NDArray[np.int64]:
    return np.concatenate([each.argmin(axis=1) for each in _squared_distances(points, others)])
