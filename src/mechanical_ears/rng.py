"""Random numbers that do not depend on NumPy's version: one seed always gives one instrument.

NumPy guarantees the raw numbers of its bit generators for ever, but not those of its distributions.
Two uniform numbers, u and v in 0..1, become two normal ones (Box and Muller, "A note on the
generation of random normal deviates", 1958):

    √(−2 ln u) · cos(2π v)        √(−2 ln u) · sin(2π v)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def uniform(seed: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers from the open interval 0..1, float64 (count,)."""
    raw = np.random.PCG64(seed).random_raw(count)
    return ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, count: int) -> NDArray[np.float32]:
    """Standard normal numbers, float32 (count,)."""
    half = (count + 1) // 2
    first, second = uniform(seed, 2 * half).reshape(2, half)
    radius = np.sqrt(-2 * np.log(first))
    angle = 2 * np.pi * second
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return values[:count].astype(np.float32)
