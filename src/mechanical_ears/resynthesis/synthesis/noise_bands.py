"""Noise with a given spectrum that changes over time.

Blocks of N samples overlap by half. Each is made from random phases φ and the density S(f, t) of
the noise, in mean square per Hz, interpolated between the bands,

    Y[k] = N · √(S(f_k, t) · rate / 2N) · e^(iφ_k)

and windowed with a half-period sine: its squares sum to one, and so do the powers of independent
blocks (Serra and Smith, "Spectral modeling synthesis", 1990). The mean of each windowed block is
removed, in the shape of the window, so that the noise has no offset.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_map import SILENCE_DB, band_centres, band_edges
from mechanical_ears.resynthesis.decibels import db_to_amplitude
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.synthesis.stereo import StereoWidth, noise_sides

BLOCK_SECONDS: Final = 0.018  # s, about
NOISE_PHASES: Final = 4096  # steps of a random phase in a turn
SIDE_MULTIPLE: Final = 1237  # of the mid's phases: the side's, which are not correlated with them
BLOCKS_AT_ONCE: Final = 64  # which stay in the cache


@cache
def _unit_circle(multiple: int = 1) -> NDArray[np.complex64]:
    """e^(imφ) for each step of a phase φ."""
    turns = np.arange(NOISE_PHASES) * multiple % NOISE_PHASES / NOISE_PHASES
    return np.asarray(np.exp(2j * np.pi * turns), dtype=np.complex64)


def block_samples(sample_rate: int) -> int:
    """Samples in a block, a power of two."""
    return 1 << max(4, round(math.log2(BLOCK_SECONDS * sample_rate)))


def render_noise(
    levels: NDArray[np.float32],
    frequency_scale: float,
    count: int,
    sample_rate: int,
    seed: int,
    width: StereoWidth | None = None,
) -> NDArray[np.float32]:
    """Render noise in bands.

    Args:
        levels: dB, mean square of each band, float32 (blocks, 40), at the middles of blocks, which
            are half a block apart, the first at time 0.
        frequency_scale: factor on all frequencies.
        count: samples.
        sample_rate: Hz.
        seed: of the random phases.
        width: of stereo noise; None for mono.

    Returns:
        float32 (count,), or mid and side (2, count); the mid is the mono noise.
    """
    size = block_samples(sample_rate)
    half = size // 2
    sounding = np.flatnonzero((levels > SILENCE_DB).any(axis=0))
    if not len(sounding):
        return np.zeros(count if width is None else (2, count), dtype=np.float32)
    highest = min(float(band_edges()[sounding[-1] + 1]) * frequency_scale, 0.49 * sample_rate)
    bins = np.arange(min(int(highest * size / sample_rate), half) + 1) * (sample_rate / size)
    widths = (10 * np.log10(np.diff(band_edges()) * frequency_scale)).astype(np.float32)
    decibels = interpolation(band_centres(), bins / frequency_scale)(levels - widths)
    decibels += np.float32(20 * np.log10(size * np.sqrt(sample_rate / (2 * size))))
    magnitudes = db_to_amplitude(decibels)
    magnitudes[:, 0] = 0
    rng = np.random.default_rng(seed)
    phases = rng.integers(0, NOISE_PHASES, magnitudes.shape, dtype=np.uint16)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)
    if width is not None:
        same, independent = noise_sides(width, bins)
    sound = np.empty((1 if width is None else 2, len(magnitudes) - 1, half), dtype=np.float32)
    for first in range(0, len(magnitudes) - 1, BLOCKS_AT_ONCE):
        rows = slice(first, first + BLOCKS_AT_ONCE + 1)
        spectra = [magnitudes[rows] * _unit_circle().take(phases[rows])]
        if width is not None:
            side = _unit_circle(SIDE_MULTIPLE).take(phases[rows])
            side *= magnitudes[rows] * independent
            side += spectra[0] * same
            spectra.append(side)
        for channel, spectrum in zip(sound, spectra, strict=True):
            blocks = np.fft.irfft(spectrum, size)
            blocks *= window
            blocks -= (blocks.sum(axis=1) / window.sum())[:, None] * window
            np.add(blocks[:-1, half:], blocks[1:, :half], out=channel[first : rows.stop - 1])
    sound = sound.reshape(len(sound), -1)[:, :count]
    return sound[0] if width is None else sound
