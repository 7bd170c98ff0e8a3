"""Linear interpolation between the frames of a grid.

A point p between the frames i and i + 1 of a grid t_0 < t_1 < … reads from values v

    v(p) = (1 − s) v_i + s v_{i+1}        s = (p − t_i) / (t_{i+1} − t_i)

and points outside the grid read its first or last frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Where points lie between the frames of a grid.

    Attributes:
        frames: of the grid.
        before: int64 (points,), the frame before each point.
        fraction: float (points,), of the way from there to the next frame, 0..1.
    """

    frames: int
    before: NDArray[np.int64]
    fraction: NDArray[Any]

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (…, points) of values (…, frames): v_i (1 − s) + v_{i+1} s."""
        first, second = values[..., self.before], values[..., self.before + 1]
        return np.asarray(first * (1 - self.fraction) + second * self.fraction)

    def rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (points, columns) of values (frames, columns): v_i + (v_{i+1} − v_i) s.

        Rows lie together in memory, which is several times as fast for long sounds. The line is
        that of a call, its last bit need not be.
        """
        first = values[self.before]
        return np.asarray(first + (values[self.before + 1] - first) * self.fraction[:, None])

    def weights(self) -> NDArray[np.float64]:
        """The matrix (frames, points) whose product from the right interpolates."""
        points = np.arange(len(self.before))
        weights = np.zeros((self.frames, len(points)))
        weights[self.before, points] = 1 - self.fraction
        weights[self.before + 1, points] = self.fraction  # row 0 where a grid has only one
        return weights


def interpolation(
    grid: NDArray[Any], points: NDArray[Any], dtype: DTypeLike = np.float32
) -> Interpolation:
    """Find where points lie between the frames of a grid.

    Args:
        grid: (frames,), ascending.
        points: (points,), in the grid's unit.
        dtype: of the fractions, float32 or float64.
    """
    positions = np.interp(points, grid, np.arange(len(grid)))
    before = np.minimum(positions.astype(np.int64), len(grid) - 2)
    return Interpolation(len(grid), before, (positions - before).astype(dtype))
