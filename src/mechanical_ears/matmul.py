"""Matrix product on one core, whatever the size of the matrices.

Notes are heard and rendered in parallel, one per core. A BLAS that splits a product of one of them
among threads of its own makes these wait for each other: on a busy machine a song takes five times
as long. OpenBLAS does not split products of fewer than 2¹⁸ multiplications.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_MULTIPLICATIONS: Final = 200_000  # of one product, few enough that no BLAS starts threads
MAX_DEPTH: Final = 128  # rows of the right matrix in one product
BLOCK_ROWS: Final = 256  # of the result at a time, which stay in the cache

Real = TypeVar("Real", np.float32, np.float64)


def matmul(left: NDArray[Real], right: NDArray[Real]) -> NDArray[Real]:
    """The matrix product, in pieces that are each too small to be split among threads.

    Args:
        left: float32 or float64 (rows, depth).
        right: the same type, (depth, columns).

    Returns:
        (rows, columns), of that type; the same numbers for every memory layout of the arguments.
    """
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    rows, columns = len(left), right.shape[1]
    if not right.size:
        return left @ right
    depth = max(1, min(MAX_DEPTH, MAX_MULTIPLICATIONS // columns, len(right)))
    step = max(1, min(MAX_MULTIPLICATIONS // (depth * columns), rows))
    result = np.empty((-(-rows // step) * step, columns), dtype=np.result_type(left, right))
    if step > 1 and rows % step:
        padding = np.zeros_like(left, shape=(len(result) - rows, left.shape[1]))
        left = np.concatenate([left, padding])
    block_rows = max(1, BLOCK_ROWS // step) * step
    for first in range(0, len(result), block_rows):
        block = left[first : first + block_rows]
        product = result[first : first + block_rows].reshape(-1, step, columns)
        np.matmul(block[:, :depth].reshape(-1, step, depth), right[:depth], out=product)
        for start in range(depth, len(right), depth):
            part = block[:, start : start + depth]
            product += part.reshape(-1, step, part.shape[1]) @ right[start : start + depth]
    return result[:rows]
