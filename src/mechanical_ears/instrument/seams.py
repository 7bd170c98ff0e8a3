"""Seams of loops: how far level, brightness and pitch jump where the end meets the start.

The 100 ms before a seam are compared with those after it, rounded up to whole periods of the note;
at least eight periods for the pitch, in whose spectra the first 16 partials can be separated. The
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
ZERO_PADDING: Final = 2  # times the length of a window
HOP_SECONDS: Final = 0.01  # s, of natural changes
BATCH: Final = 32  # windows whose spectra are computed at once
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
    sides = _windows(mono, np.array([seam - near, seam]), near)
    powers = np.mean(np.square(sides, dtype=np.float64), axis=1) + 1e-20
    centroids = _centroids(sides)
    far = pitch_frames(frequency, sample_rate)
    partials = _partials(_windows(mono, np.array([seam - far, seam]), far), frequency, sample_rate)
    return SeamJump(
        level=10 * math.log10(powers[1] / powers[0]),
        centroid=float(100 * (centroids[1] / centroids[0] - 1)),
        pitch=float(_pitch_changes(*partials, lag=1)[0]),
    )


def natural_changes(
    mono: NDArray[np.float32], frequency: float, sample_rate: int
) -> NDArray[np.float64]:
    """Changes of a sound by itself at each frame, of what is allowed at a seam, float64 (frames,).

    Measured every 10 ms and interpolated; infinite within `pitch_frames` of an end.

    Args:
        mono: float32 (frames,).
        frequency: Hz, of the note.
        sample_rate: Hz.
    """
    frames = pitch_frames(frequency, sample_rate)
    lag = max(1, round(frames / (HOP_SECONDS * sample_rate)))  # hops from one side to the other
    starts = np.round(np.arange(0, len(mono) - frames, frames / lag)).astype(np.int64)
    changes = np.full(len(mono), np.inf)
    if len(starts) <= lag:
        return changes
    levels, centroids, frequencies, amplitudes = [], [], [], []
    for first in range(0, len(starts), BATCH):
        windows = _windows(mono, starts[first : first + BATCH], frames)
        levels.append(10 * np.log10(np.mean(np.square(windows), axis=1) + 1e-20))
        centroids.append(_centroids(windows))
        batch = _partials(windows, frequency, sample_rate)
        frequencies.append(batch[0])
        amplitudes.append(batch[1])
    level, centroid = np.concatenate(levels), np.concatenate(centroids)
    pitch = _pitch_changes(np.concatenate(frequencies), np.concatenate(amplitudes), lag)
    excesses = np.maximum.reduce(
        [
            np.abs(level[lag:] - level[:-lag]) / MAX_LEVEL_JUMP,
            100 * np.abs(centroid[lag:] / centroid[:-lag] - 1) / MAX_CENTROID_JUMP,
            np.abs(pitch) / MAX_PITCH_JUMP,
        ]
    )
    seams = starts[lag:]
    inside = np.arange(seams[0], seams[-1] + 1)
    changes[inside] = np.interp(inside, seams, excesses)
    return changes


def _windows(
    mono: NDArray[np.float32], starts: NDArray[np.int64], frames: int
) -> NDArray[np.float32]:
    """Parts of a sound, float32 (starts, frames), with silence around it."""
    first = np.maximum(starts, 0)
    padded = np.pad(mono, (0, max(0, int(first.max()) + frames - len(mono))))
    return padded[first[:, None] + np.arange(frames)]


def _centroids(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean bins of power spectra, float64 (windows,)."""
    powers = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]))) ** 2 + 1e-20
    return np.asarray(powers @ np.arange(powers.shape[1]) / powers.sum(axis=1))


def _partials(
    windows: NDArray[np.float32], frequency: float, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in Hz and amplitudes of partials, each float64 (windows, partials)."""
    frames = windows.shape[1]
    size = 1 << math.ceil(math.log2(ZERO_PADDING * frames))
    magnitudes = np.abs(np.fft.rfft(windows * np.blackman(frames), size)) + 1e-12
    period = frequency * size / sample_rate  # bins from one partial to the next
    rows, frequencies, amplitudes = np.arange(len(windows)), [], []
    for number in range(1, PARTIALS + 1):
        low, high = (round((number + side) * period) for side in (-0.45, 0.45))
        if high >= magnitudes.shape[1] - 1:
            break
        peaks = low + magnitudes[:, low : high + 1].argmax(axis=1)
        one, two, three = (np.log(magnitudes[rows, peaks + step]) for step in (-1, 0, 1))
        curvature = np.minimum(one - 2 * two + three, -1e-9)
        shifts = np.clip(0.5 * (one - three) / curvature, -1, 1)
        frequencies.append((peaks + shifts) * sample_rate / size)
        amplitudes.append(np.exp(two))
    shape = (len(frequencies), len(windows))
    return np.reshape(frequencies, shape).T, np.reshape(amplitudes, shape).T


def _pitch_changes(
    frequencies: NDArray[np.float64], amplitudes: NDArray[np.float64], lag: int
) -> NDArray[np.float64]:
    """Mean changes of partials over a number of windows, in cents, float64 (windows − lag,).

    Weighted by the smaller amplitude of both sides.
    """
    weights = np.minimum(amplitudes[lag:], amplitudes[:-lag])
    weights[weights < MIN_PARTIAL * weights.max(axis=1, keepdims=True, initial=0.0)] = 0
    cents = 1200 * np.log2(frequencies[lag:] / frequencies[:-lag])
    return np.asarray((weights * cents).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-20))
