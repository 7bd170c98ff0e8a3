"""Noise with a given spectrum that changes over time.

Blocks of N samples, half of one over the other, each made from random phases φ and the levels
S(f, t) of the bands, in mean square a Hz,

    Y[k] = N · √(S(f_k, t) · rate / 2N) · e^(iφ_k)

weighted by a half-period sine: its squares add to one, and so do the powers of independent blocks
(Serra and Smith, "Spectral modeling synthesis", 1990). The weighted blocks have their mean taken
off, in the shape of the weights, so that the noise does not lie beside zero.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_map import BANDS, SILENCE_DB, band_centres, band_edges

BLOCK: Final = 0.018  # s, about
PHASES: Final = 4096  # steps of a random phase in a turn


@cache
def _turn() -> NDArray[np.complex64]:
    """The unit circle in steps."""
    return np.asarray(np.exp(2j * np.pi * np.arange(PHASES) / PHASES), dtype=np.complex64)


def block_samples(sample_rate: int) -> int:
    """Samples in a block, a power of two."""
    return 1 << max(4, round(math.log2(BLOCK * sample_rate)))


def hiss(
    levels: NDArray[np.float32], scale: float, count: int, sample_rate: int, seed: int
) -> NDArray[np.float32]:
    """Noise.

    Args:
        levels: float32 (blocks, 40), dB, mean square of the bands at the middles of blocks, which
            are half a block apart, the first at time 0.
        scale: factor on all frequencies.
        count: samples.
        sample_rate: Hz.
        seed: of the random phases.
    """
    size = block_samples(sample_rate)
    half = size // 2
    loud = np.flatnonzero((levels > SILENCE_DB).any(axis=0))
    if not len(loud):
        return np.zeros(count, dtype=np.float32)
    highest = min(float(band_edges()[loud[-1] + 1]) * scale, 0.49 * sample_rate)
    frequencies = np.arange(min(int(highest * size / sample_rate), half) + 1) * (sample_rate / size)
    density = levels - (10 * np.log10(np.diff(band_edges()) * scale)).astype(np.float32)
    bands = np.interp(frequencies / scale, band_centres(), np.arange(BANDS))
    low = np.minimum(bands.astype(np.int64), BANDS - 2)
    share = (bands - low).astype(np.float32)
    shape = density[:, low] * (1 - share) + density[:, low + 1] * share
    shape += np.float32(20 * np.log10(size * np.sqrt(sample_rate / (2 * size))))
    magnitudes = np.exp2(shape * np.float32(np.log2(10) / 20))
    magnitudes[:, 0] = 0
    random = np.random.default_rng(seed).integers(0, PHASES, magnitudes.shape, dtype=np.uint16)
    blocks = np.fft.irfft(magnitudes * _turn()[random], size)
    weights = np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)
    blocks *= weights
    blocks -= (blocks.sum(axis=1) / weights.sum())[:, None] * weights
    sound = np.zeros((len(blocks) + 1, half), dtype=np.float32)
    sound[:-1] += blocks[:, :half]
    sound[1:] += blocks[:, half:]
    return sound[1:].ravel()[:count]
