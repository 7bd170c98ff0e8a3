"""A bank of sine oscillators as matrix products, and sinc interpolation to warp its time.

In hops of H samples, a partial of constant frequency ω and complex amplitude z_h at hop h is, for
the sample k beside the hop, −H ≤ k < H, with triangles that sum to one,

    y[hH + k] = Σ_h (1 − |k|/H) · Re( z_h e^(iω h H) · e^(iω k) )

so that all hops of all partials are one product of (hops × 2 partials) with (2 partials × 2H),
whose right side, cosines and sines of ω k, is the same for all hops. Between hops, amplitudes and
phases move linearly. Where the note's frequency moves, the sines are rendered at their mean
frequencies and read at u(t) = ∫ 2^(c/1200) dt between samples, through a Kaiser-windowed sinc
(Smith and Gossett, "A flexible sampling-rate conversion method", 1984): all partials move as one,
exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul

SINC_TAPS: Final = 16  # samples that the sinc spans
SINC_STEPS: Final = 512  # of its table, per sample
SINC_BLOCK: Final = 8192  # positions at a time, which stay in the cache
KAISER_BETA: Final = 8.0


def carriers(
    frequencies: NDArray[np.float64], hops: int, hop: int, sample_rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines of the carriers' phases at each hop, float32 (hops, partials)."""
    turns = np.outer(np.arange(hops), frequencies * (hop / sample_rate))
    angle = ((turns - np.rint(turns)) * (2 * np.pi)).astype(np.float32)
    return np.cos(angle), np.sin(angle)


def sine_bank(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    frequencies: NDArray[np.float64],
    hop: int,
    sample_rate: int,
) -> NDArray[np.float32]:
    """Sum of sines.

    Args:
        real: float32 (hops, partials), real parts of z_h e^(iω h H): amplitudes times carriers.
        imaginary: float32 (hops, partials).
        frequencies: Hz, float64 (partials,).
        hop: samples.
        sample_rate: Hz.

    Returns:
        float32 ((hops − 1) · hop,).
    """
    offsets = np.arange(-hop, hop)
    angle = (np.outer(frequencies / sample_rate, offsets) * (2 * np.pi)).astype(np.float32)
    triangle = (1 - np.abs(offsets) / hop).astype(np.float32)
    basis = np.concatenate([np.cos(angle), np.sin(angle)]) * triangle
    blocks = matmul(np.concatenate([real, -imaginary], axis=1), basis)
    return np.ravel(blocks[:-1, hop:] + blocks[1:, :hop])


@cache
def _sinc_table() -> NDArray[np.float32]:
    """Weights of the samples around a position, by its step, float32 (16, 513)."""
    taps = np.arange(1 - SINC_TAPS // 2, SINC_TAPS // 2 + 1)[:, None]
    offset = taps - np.arange(SINC_STEPS + 1) / SINC_STEPS
    window = np.i0(KAISER_BETA * np.sqrt(np.maximum(0, 1 - (2 * offset / SINC_TAPS) ** 2)))
    table = np.sinc(offset) * window
    return np.asarray(table / table.sum(axis=0), dtype=np.float32)


@cache
def _paired_sinc_table() -> NDArray[np.complex64]:
    """The same weights twice, as real and imaginary parts: for two channels at once."""
    return np.asarray(_sinc_table() * np.complex64(1 + 1j))


def sinc_interpolate(
    sound: NDArray[np.float32], positions: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Read a sound between its samples.

    Args:
        sound: float32 (samples,) or (2, samples), silent before and after.
        positions: in samples, float64 (count,), ascending.

    Returns:
        float32 (count,) or (2, count).
    """
    # Two channels are read as pairs of floats, which takes hardly longer than one.
    paired = sound.ndim == 2
    frames = np.ascontiguousarray(sound.T).view(np.complex64)[:, 0] if paired else sound
    table = _paired_sinc_table() if paired else _sinc_table()
    padded = np.pad(frames, SINC_TAPS)
    whole = np.floor(positions).astype(np.int64)
    step = np.rint((positions - whole) * SINC_STEPS).astype(np.int64)
    first = np.clip(whole + 1 - SINC_TAPS // 2 + SINC_TAPS, 0, len(padded) - SINC_TAPS)
    values = np.zeros((len(positions), 2 if paired else 1), dtype=np.float32)
    for start in range(0, len(positions), SINC_BLOCK):
        at = slice(start, start + SINC_BLOCK)
        block = values[at].reshape(-1)
        for tap, weights in enumerate(table):
            terms = padded[tap:].take(first[at], mode="clip").view(np.float32)
            terms *= weights.take(step[at], mode="clip").view(np.float32)
            block += terms
    return values.T if paired else values[:, 0]
