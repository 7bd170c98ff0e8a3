"""Stereo width: how the two channels of a note differ, by frequency.

A note is rendered as mid M, which is the mono rendering, and side S; its channels and their mean:

    L = M + S        R = M − S        (L + R) / 2 = M

so that the mono sum is the mono rendering. The side is partly the mid itself, at another level or
phase, and partly independent of it:

    partial   S = (±a ± jb) · z        z: its complex amplitude
    noise     S = ±a · M + b · N       N: independent noise with the spectrum of M

Both give the ratio of side to mid q, the ratio of the channels' levels r and their correlation ρ,

    q = a² + b²    r = |L|² / |R|² = (1 + q + 2a) / (1 + q − 2a)    ρ = (1 − q) / √((1 + q)² − 4a²)

of which q and r are given: a = (1 + q) / 2 · (r − 1) / (r + 1), b² = q − a². With r = 1, two
channels of equal power whose independent parts are mixed to a correlation ρ, it is

    q = (1 − ρ) / (1 + ρ)        ρ = (1 − q) / (1 + q)

(Blumlein, British patent 394 325, 1931, for mid and side; Faller and Baumgarte, "Binaural cue
coding", 2003, for level differences and correlations by band.)

Signs are drawn for each partial. The side of doubled voices turns slowly against the mid, by some
ν Hz: one channel is softest when the other is loudest, and the mid does not beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears.resynthesis.control_map import BANDS, MODES, PARTIALS, band_centres

MIN_SIDE_DB, MAX_SIDE_DB = -60.0, 6.0  # dB beside the mid, of rendered sides
DEFAULT_CORRELATION: Final = 0.8  # of a note whose instrument has no width of its own
VOICE_RANGE: Final = (0.85, 1.15)  # factors between the partials' rates of turning

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StereoWidth:
    """How the channels of a note differ.

    Attributes:
        side: dB, level of the side beside the mid, float (40,), at the centres of noise bands.
        level_difference: dB, between the channels, float (40,), whichever is the louder.
        spread: dB, standard deviation of the level of a partial's side around ``side``.
        voices: Hz, at which the side of the first partial turns against the mid; 0 for one voice.
        voice_growth: exponent of the partial's number by which this grows.
        seed: of the draws for each partial and band.
    """

    side: Floats
    level_difference: Floats
    spread: float = 0.0
    voices: float = 0.0
    voice_growth: float = 1.0
    seed: int = 0

    @classmethod
    def from_correlation(cls, correlation: ArrayLike = DEFAULT_CORRELATION, **others: Any) -> Self:
        """The width of two equally loud channels with a correlation.

        Args:
            correlation: −1..1, of all bands or of each.
            others: the other attributes.
        """
        values = np.broadcast_to(np.asarray(correlation, dtype=np.float64), BANDS)
        side = 10 * np.log10(np.maximum(1 - values, 1e-12) / np.maximum(1 + values, 1e-12))
        return cls(side, np.zeros(BANDS), **others)

    def gains(
        self, frequencies: NDArray[Any], offset: NDArray[Any] | float = 0.0
    ) -> tuple[Floats, Floats]:
        """The side beside the mid at frequencies: the shares a and b, amplitudes at least 0.

        Args:
            frequencies: Hz, (n,).
            offset: dB added to ``side``.
        """
        centres = band_centres()
        level = np.interp(frequencies, centres, self.side) + offset
        side = 10 ** (np.clip(level, MIN_SIDE_DB, MAX_SIDE_DB) / 10)
        ratio = 10 ** (np.interp(frequencies, centres, self.level_difference) / 10)
        share = (1 + side) / 2 * (ratio - 1) / (ratio + 1)
        share = np.minimum(share, np.sqrt(side))
        return share, np.sqrt(np.maximum(side - share**2, 0))


def partial_sides(
    width: StereoWidth, rows: NDArray[np.int64], frequencies: Floats, times: Floats
) -> NDArray[np.complex64]:
    """Factors from the mid to the side of partials and modes.

    Args:
        width: of the note.
        rows: int (n,), number of each partial, from 0; modes follow the partials.
        frequencies: Hz, float64 (n,).
        times: s, float64 (times,).

    Returns:
        complex64 (times, n), or (1, n) where nothing turns.
    """
    rng = np.random.default_rng((width.seed, 0))
    count = PARTIALS + MODES
    signs = rng.choice((-1.0, 1.0), (2, count))[:, rows]
    offset = width.spread * rng.standard_normal(count)[rows]
    level, phase = width.gains(frequencies, offset)
    factors = (signs[0] * level + 1j * signs[1] * phase)[None]
    if width.voices:
        rates = width.voices * np.minimum(rows + 1.0, 48) ** width.voice_growth
        rates *= rng.uniform(*VOICE_RANGE, count)[rows] * rng.choice((-1.0, 1.0), count)[rows]
        factors = factors * np.exp(2j * np.pi * np.outer(times, rates))
    return np.asarray(factors, dtype=np.complex64)


def noise_sides(
    width: StereoWidth, frequencies: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Factors from the mid to the side of noise at frequencies: ±a and b, float32 (n,)."""
    signs = np.random.default_rng((width.seed, 1)).choice((-1.0, 1.0), BANDS)
    band = np.searchsorted((band_centres()[1:] + band_centres()[:-1]) / 2, frequencies)
    level, independent = width.gains(frequencies)
    return (signs[band] * level).astype(np.float32), independent.astype(np.float32)


def to_channels(mid_side: NDArray[np.float32]) -> NDArray[np.float32]:
    """Left and right, float32 (samples, 2), of mid and side, float32 (2, samples)."""
    mid, side = mid_side
    channels = np.empty((len(mid), 2), dtype=np.float32)
    np.add(mid, side, out=channels[:, 0])
    np.subtract(mid, side, out=channels[:, 1])
    return channels
