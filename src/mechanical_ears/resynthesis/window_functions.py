"""Window functions of spectral analysis, and the lobe that a sine shows through Hann's.

    w[n] = Σ_k (−1)^k a_k cos(2π k (n + ½) / N)        n = 0 … N − 1

Hann: a = (½, ½), with the lobe W(x) = sin(πx) / (πx · (1 − x²)) at x bins from its middle, 1 there.
Nuttall's with four terms: side lobes of −93 dB (Nuttall, "Some windows with very good sidelobe
behavior", 1981).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=32)
def hann(length: int) -> NDArray[np.float32]:
    """Hann's window, float32 (length,), symmetric about its middle."""
    return _cosine_sum(length, (0.5, 0.5))


@lru_cache(maxsize=32)
def nuttall(length: int) -> NDArray[np.float32]:
    """Nuttall's window of four terms, float32 (length,), with a lobe of ±4 bins."""
    return _cosine_sum(length, (0.355768, 0.487396, 0.144232, 0.012604))


def _cosine_sum(length: int, coefficients: tuple[float, ...]) -> NDArray[np.float32]:
    angle = 2 * np.pi * (np.arange(length) + 0.5) / length
    terms = [(-1) ** k * a * np.cos(k * angle) for k, a in enumerate(coefficients)]
    return np.asarray(np.sum(terms, axis=0), dtype=np.float32)


def hann_lobe(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hann's lobe W(x), and its side lobes, at x bins (of the window itself) from its middle."""
    x = np.where(np.abs(np.abs(offset) - 1) < 1e-4, 1 - 1e-4, offset)
    return np.asarray(np.sinc(x) / (1 - x * x))
