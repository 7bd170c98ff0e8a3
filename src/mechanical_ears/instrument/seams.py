"""Seams of loops: how far level, brightness and pitch jump where the end meets the start.

The 100 ms before a seam are compared with those after it, rounded up to whole periods of the note;
at least eight periods for the pitch, in whose spectra the first 16 partials are told apart. The
change of pitch is the mean of the partials' changes in cents, weighted by their amplitudes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVEL_SECONDS: Final = 0.1  # s, on each side of a seam
PITCH_PERIODS: Final = 8  # on each side of a seam, at least
PARTIALS: Final = 16
MIN_PARTIAL: Final = 0.1  # of the amplitude of the strongest partial
ZERO_PADDING: Final = 8  # times the length of a window
MAX_LEVEL_JUMP: Final = 0.5  # dB
MAX_CENTROID_JUMP: Final = 5.0  # %
MAX_PITCH_JUMP: Final = 3.0  # cents


@dataclass(frozen=True)
class SeamJump:
    """Changes at a seam.

    Attributes:
        level: dB.
        centroid: % of the spectral centroid.
        pitch: cents.
    """

    level: float
    centroid: float
    pitch: float

    @property
    def excess(self) -> float:
        """The largest change, of what is allowed; above 1 it is audible."""
        return max(
            abs(self.level) / MAX_LEVEL_JUMP,
            abs(self.centroid) / MAX_CENTROID_JUMP,
            abs(self.pitch) / MAX_PITCH_JUMP,
        )


def level_frames(frequency: float, sample_rate: int) -> int:
    """Frames of whole periods that last 100 ms at least."""
    return round(math.ceil(LEVEL_SECONDS * frequency) * sample_rate / frequency)


def pitch_frames(frequency: float, sample_rate: int) -> int:
    """Frames of whole periods that last 100 ms and eight periods at least."""
    periods = max(math.ceil(LEVEL_SECONDS * frequency), PITCH_PERIODS)
    return round(periods * sample_rate / frequency)


def measure_seam(
    mono: NDArray[np.float32], seam: int, frequency: float, sample_rate: int
) -> SeamJump:
    """How far a sound changes at a seam.

    Args:
        mono: float32 (frames,), with at least `pitch_frames` on each side of the seam.
        seam: the first frame after it.
        frequency: Hz, of the note.
        sample_rate: Hz.
    """
    near = level_frames(frequency, sample_rate)
    far = pitch_frames(frequency, sample_rate)
    sides = [mono[max(0, seam - near) : seam], mono[seam : seam + near]]
    powers = [float(np.mean(np.square(side, dtype=np.float64))) + 1e-20 for side in sides]
    centroids = [_centroid(side) for side in sides]
    partials = [
        _partials(side, frequency, sample_rate)
        for side in (mono[max(0, seam - far) : seam], mono[seam : seam + far])
    ]
    return SeamJump(
        level=10 * math.log10(powers[1] / powers[0]),
        centroid=100 * (centroids[1] / centroids[0] - 1),
        pitch=_pitch_change(*partials),
    )


def _centroid(side: NDArray[np.float32]) -> float:
    """Mean bin of a power spectrum."""
    powers = np.abs(np.fft.rfft(side * np.hanning(len(side)))) ** 2 + 1e-20
    return float(powers @ np.arange(len(powers)) / powers.sum())


def _partials(side: NDArray[np.float32], frequency: float, sample_rate: int) -> NDArray[np.float64]:
    """Frequency in Hz and amplitude of each partial, float64 (partials, 2)."""
    size = 1 << math.ceil(math.log2(ZERO_PADDING * len(side)))
    magnitudes = np.abs(np.fft.rfft(side * np.blackman(len(side)), size)) + 1e-12
    period = frequency * size / sample_rate  # bins from one partial to the next
    found = []
    for number in range(1, PARTIALS + 1):
        low, high = (round((number + side) * period) for side in (-0.45, 0.45))
        if high >= len(magnitudes) - 1:
            break
        peak = low + int(magnitudes[low : high + 1].argmax())
        one, two, three = np.log(magnitudes[peak - 1 : peak + 2])
        curvature = one - 2 * two + three
        shift = 0.5 * (one - three) / curvature if curvature < 0 else 0.0
        found.append(((peak + min(max(shift, -1.0), 1.0)) * sample_rate / size, math.exp(two)))
    return np.array(found).reshape(-1, 2)


def _pitch_change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Mean change of partials in cents, weighted by the smaller amplitude of both sides."""
    weights = np.minimum(before[:, 1], after[:, 1])
    weights[weights < MIN_PARTIAL * weights.max(initial=0.0)] = 0
    if weights.sum() == 0:
        return 0.0
    return float(weights @ (1200 * np.log2(after[:, 0] / before[:, 0])) / weights.sum())
