"""How much like the notes of real instruments a set of notes is, and how much of theirs it covers.

Notes are points x in the features of the evaluation network; X are real ones, Y generated ones.

Fréchet distance between the Gaussians of both (Heusel et al., "GANs trained by a two time-scale
update rule converge to a local Nash equilibrium", 2017):

    |μ_X − μ_Y|² + tr(Σ_X + Σ_Y − 2 (Σ_X^½ Σ_Y Σ_X^½)^½)

Kernel distance, the squared maximum mean discrepancy with k(x, y) = (x·y / d + 1)³, unbiased and
therefore below 0 now and then (Bińkowski et al., "Demystifying MMD GANs", 2018); here x is divided
by the root of the mean square of all real features, so that the kernel does not depend on their
scale:

    Σ_{i≠j} k(x_i, x_j) / m(m−1)  +  Σ_{i≠j} k(y_i, y_j) / n(n−1)  −  2 Σ k(x_i, y_j) / mn

Precision and recall (Kynkäänniemi et al., "Improved precision and recall metric for assessing
generative models", 2019): a point is covered by a set when it lies in the ball around one of its
points that reaches to this point's third neighbour. Precision is the share of Y covered by X,
recall the share of X covered by Y.

Density and coverage (Naeem et al., "Reliable fidelity and diversity metrics for generative models",
2020), with balls to the k = 5th neighbour around X alone, which outliers of Y cannot enlarge:
density is how many of them a point of Y lies in, divided by k; coverage the share of them in which
a point of Y lies. Density may pass 1; the coverage of another sample of the same kind is
1 − Π (n − i) / (2n − i) over i = 1 … 5, about 31/32.

NDB / k (Richardson and Weiss, "On GANs and GMMs", 2018): k-means cells of X, and the share of them
whose parts of X and of Y differ at the 5 % level of the two-proportion z-test. For samples of the
same kind it is about 0.05.

The Fréchet distance of small sets is too large, and precision and recall depend on the sizes, too:
compare figures of sets of the same size only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

PRECISION_NEIGHBOUR: Final = 3
DENSITY_NEIGHBOUR: Final = 5
BIN_COUNT: Final = 50
Z_CRITICAL: Final = 1.959964  # standard errors, 5 % on both sides
BLOCK_POINTS: Final = 1024  # points whose distances are in memory at once
MAX_ROUNDS: Final = 50  # of k-means, at most


@dataclass(frozen=True)
class SetMetrics:
    """How two sets of notes compare; see the module.

    Attributes:
        real: notes.
        generated: notes.
        frechet: 0 or above, of the features' square.
        kernel: about 0 for sets of the same kind.
        precision: 0..1.
        recall: 0..1.
        density: 0 or above, about 1 for sets of the same kind.
        coverage: 0..1.
        bins_apart: 0..1, NDB / 50.
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
    """All figures of two sets.

    Args:
        real: (notes, features).
        generated: (notes, features).
        seed: of the first centres of the bins.

    Raises:
        ValueError: a set has fewer than 50 notes, other features than the other, or holds a number
            that is not finite.
    """
    for name, points in (("real", real), ("generated", generated)):
        if points.ndim != 2 or len(points) < BIN_COUNT:
            raise ValueError(
                f"{name} has the shape {points.shape}, not ({BIN_COUNT} or more, features)"
            )
        if not np.isfinite(points).all():
            raise ValueError(f"{name} holds a number that is not finite")
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
    """Fréchet distance of the Gaussians that fit two sets (notes, features)."""
    one, other = (np.asarray(points, dtype=np.float64) for points in (real, generated))
    return gaussian_distance(
        one.mean(axis=0),
        np.atleast_2d(np.cov(one, rowvar=False)),
        other.mean(axis=0),
        np.atleast_2d(np.cov(other, rowvar=False)),
    )


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
    """Share of the generated that the real cover, and of the real that the generated cover."""

    def covered(points: Floats, by: Floats) -> float:
        radii = neighbour_distances(by, neighbour)
        inside = [(squares <= radii**2).any(axis=1) for squares in _squared_distances(points, by)]
        return float(np.concatenate(inside).mean())

    return covered(generated, real), covered(real, generated)


def density_coverage(
    real: Floats, generated: Floats, neighbour: int = DENSITY_NEIGHBOUR
) -> tuple[float, float]:
    """How many balls of the real each generated note lies in, and the share of balls with one."""
    radii = neighbour_distances(real, neighbour)
    count, filled = 0, np.zeros(len(real), dtype=np.bool_)
    for squares in _squared_distances(generated, real):
        inside = squares <= radii**2
        count += int(inside.sum())
        filled |= inside.any(axis=0)
    return count / (neighbour * len(generated)), float(filled.mean())


def neighbour_distances(points: Floats, neighbour: int) -> Doubles:
    """Distance of each point (points, features) to its so-manieth neighbour, itself not counted.

    Raises:
        ValueError: there are not so many.
    """
    if len(points) <= neighbour:
        raise ValueError(f"{len(points)} points have no neighbour number {neighbour}")
    return np.concatenate(
        [
            np.sqrt(np.partition(squares, neighbour, axis=1)[:, neighbour])
            for squares in _squared_distances(points, points)
        ]
    )


def nearest_distances(points: Floats, others: Floats) -> Doubles:
    """Distance of each point (points, features) to the nearest of others (others, features)."""
    return np.concatenate(
        [np.sqrt(squares.min(axis=1)) for squares in _squared_distances(points, others)]
    )


def bins_apart(real: Floats, generated: Floats, bins: int = BIN_COUNT, *, seed: int = 0) -> float:
    """Share of the real notes' k-means cells that hold another share of the generated ones."""
    cells = kmeans_centres(real, bins, seed)
    ours, theirs = (
        np.bincount(_nearest_indices(points, cells), minlength=bins) for points in (real, generated)
    )
    pooled = (ours + theirs) / (len(real) + len(generated))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(real) + 1 / len(generated)))
    difference = np.abs(ours / len(real) - theirs / len(generated))
    return float((difference > Z_CRITICAL * error).mean())


def kmeans_centres(points: Floats, count: int, seed: int = 0) -> Doubles:
    """Centres (count, features) of k-means: Lloyd's rounds from k-means++'s first choice."""
    chance = np.random.default_rng(seed)
    values = np.asarray(points, dtype=np.float64)
    chosen = [values[chance.integers(len(values))]]
    squares = np.square(values - chosen[0]).sum(axis=1)
    while len(chosen) < count:
        total = float(squares.sum())
        share = squares / total if total > 0 else np.full(len(values), 1 / len(values))
        chosen.append(values[chance.choice(len(values), p=share)])
        squares = np.minimum(squares, np.square(values - chosen[-1]).sum(axis=1))
    middles = np.stack(chosen)
    belongs = np.full(len(values), -1)
    for _ in range(MAX_ROUNDS):
        nearest = _nearest_indices(values, middles)
        if np.array_equal(nearest, belongs):
            break
        belongs = nearest
        sizes = np.bincount(belongs, minlength=count)
        sums = np.zeros_like(middles)
        np.add.at(sums, belongs, values)
        middles = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], middles)
    return middles


def inception_score(probabilities: Floats) -> float:
    """The exponential of a note's mean information on its class; probabilities (notes, classes).

    1 where all notes are heard alike or not at all, up to the number of classes where each note is
    heard surely and all classes are there (Salimans et al., "Improved techniques for training
    GANs", 2016).
    """
    mean = np.asarray(probabilities, dtype=np.float64).mean(axis=0, keepdims=True)
    return float(np.exp(_entropy(mean)[0] - _entropy(probabilities).mean()))


def mean_entropy(probabilities: Floats) -> float:
    """How unsure the network is of a note, nats, 0 for not at all; probabilities (notes, classes).

    GANSynth's pitch entropy (Engel et al., "GANSynth: adversarial neural audio synthesis", 2019).
    """
    return float(_entropy(probabilities).mean())


def _entropy(probabilities: Floats) -> Doubles:
    values = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-(values * np.log(np.maximum(values, 1e-300))).sum(axis=1))


def _squared_distances(points: Floats, others: Floats) -> Iterator[Doubles]:
    """Squared distances (points, others), a block of points at a time.

    Both are moved to the others' middle first: |x − y|² = |x|² + |y|² − 2 x·y loses fewer digits
    the smaller x and y are.
    """
    middle = np.asarray(others, dtype=np.float64).mean(axis=0)
    there = np.asarray(others, dtype=np.float64) - middle
    lengths = np.square(there).sum(axis=1)
    for first in range(0, len(points), BLOCK_POINTS):
        here = np.asarray(points[first : first + BLOCK_POINTS], dtype=np.float64) - middle
        squares = np.square(here).sum(axis=1)[:, None] + lengths - 2 * here @ there.T
        yield np.maximum(squares, 0)


def _nearest_indices(points: Floats, others: Floats) -> NDArray[np.int64]:
    return np.concatenate(
        [squares.argmin(axis=1) for squares in _squared_distances(points, others)]
    )
