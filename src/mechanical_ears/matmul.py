"""Matrix products that stay on one core.

Notes are heard and rendered side by side, one a core. A BLAS that splits a product of one of them
among threads of its own makes these wait for each other: on a machine that has other work to do a
song takes five times as long. OpenBLAS splits none of fewer than 2¹⁸ multiplications.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

LARGEST: Final = 200_000  # multiplications below which no BLAS starts threads
DEEPEST: Final = 128  # rows of the right side that one product takes
TOGETHER: Final = 256  # rows of the result at a time, which stay in the cache

Real = TypeVar("Real", np.float32, np.float64)


def matmul(left: NDArray[Real], right: NDArray[Real]) -> NDArray[Real]:
    """The matrix product, of pieces that are each too small to be split.

    Args:
        left: float32 or float64 (rows, depth).
        right: the same type, (depth, columns).

    Returns:
        (rows, columns), of that type; the same numbers however the two lie in memory.
    """
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    rows, columns = len(left), right.shape[1]
    if not right.size:
        return left @ right
    depth = max(1, min(DEEPEST, LARGEST // columns, len(right)))
    step = max(1, min(LARGEST // (depth * columns), rows))
    result = np.empty((-(-rows // step) * step, columns), dtype=np.result_type(left, right))
    if step > 1 and rows % step:
        left = np.concatenate(
            [left, np.zeros_like(left, shape=(len(result) - rows, left.shape[1]))]
        )
    together = max(1, TOGETHER // step) * step
    for first in range(0, len(result), together):
        here = left[first : first + together]
        made = result[first : first + together].reshape(-1, step, columns)
        np.matmul(here[:, :depth].reshape(-1, step, depth), right[:depth], out=made)
        for deep in range(depth, len(right), depth):
            more = here[:, deep : deep + depth]
            made += more.reshape(-1, step, more.shape[1]) @ right[deep : deep + depth]
    return result[:rows]
