"""Distance between a recording and its resynthesis, in dB of the spectrogram.

Log-spectral distance (Gray and Markel, "Distance measures for speech processing", 1976), here the
mean over windows of 256, 1024 and 4096 samples of

    mean over cells of  | 20 log10 |X| − 20 log10 |Y| |

for the cells in which the original X is within 60 dB of its own maximum; levels more than 100 dB
below it count as equal. Phases do not count, and what is below 20 Hz (the constant offset of many
samples, a rumble), inaudible, is removed from both. The mel distance is the same over 80 mel bands
of windows of 1024 samples (Slaney's scale: linear to 1 kHz, logarithmic above). Two different
noises of one spectrum are 6.0 dB apart, the mean distance of two exponential variables: the noise
of a note sets a floor under both distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.spectra import stft

WINDOWS: Final = (256, 1024, 4096)  # samples
RANGE_DB: Final = 60.0  # dB below the maximum of the original that count
FLOOR_DB: Final = 100.0  # dB below it, under which levels are equal
MIN_FREQUENCY: Final = 20.0  # Hz
MEL_WINDOW: Final = 1024  # samples
MEL_BANDS: Final = 80


@dataclass(frozen=True)
class SpectralDistance:
    """Distances between two sounds.

    Attributes:
        lsd: dB, log-spectral distance over three windows.
        mel: dB, the same over 80 mel bands.
        extra: dB, the log-spectral distance over the cells in which the resynthesis is within 60 dB
            of the original's maximum, so that what it adds counts as well.
    """

    lsd: float
    mel: float
    extra: float


def spectral_distance(
    original: NDArray[np.float32], resynthesis: NDArray[np.float32], sample_rate: int
) -> SpectralDistance:
    """Distance of a resynthesis from its original.

    Args:
        original: float32 (samples,).
        resynthesis: float32 (samples,), aligned with the original; cut or padded with silence to
            its length.
        sample_rate: Hz, of both.
    """
    fitted = np.zeros_like(original)
    count = min(len(original), len(resynthesis))
    fitted[:count] = resynthesis[:count]
    original, fitted = (_remove_rumble(each, sample_rate) for each in (original, fitted))
    lsd, extra, mel = [], [], 0.0
    for window in WINDOWS:
        x = np.abs(stft(original, window, window // 4))
        y = np.abs(stft(fitted, window, window // 4))
        loudest = float(x.max())
        lsd.append(_mean_distance(x, y, x, loudest))
        extra.append(_mean_distance(x, y, y, loudest))
        if window == MEL_WINDOW:
            filters = _mel_filters(sample_rate)
            x, y = (np.sqrt(filters @ magnitudes**2) for magnitudes in (x, y))
            mel = _mean_distance(x, y, x, float(x.max()))
    return SpectralDistance(float(np.mean(lsd)), mel, float(np.mean(extra)))


def _remove_rumble(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A sound without frequencies below 20 Hz; half of it is left at 20 Hz, all from 25 Hz on."""
    size = 1 << (2 * len(samples) - 1).bit_length()
    frequencies = np.arange(size // 2 + 1) * sample_rate / size
    gain = np.clip((frequencies - MIN_FREQUENCY) / 10 + 0.5, 0, 1).astype(np.float32)
    filtered = np.fft.irfft(np.fft.rfft(samples, size) * gain, size)[: len(samples)]
    return np.asarray(filtered, dtype=np.float32)


def _mean_distance(
    x: NDArray[np.float32], y: NDArray[np.float32], counted: NDArray[np.float32], loudest: float
) -> float:
    """Mean distance in dB where ``counted`` is within 60 dB of ``loudest``; 0 if nowhere."""
    cells = counted > loudest * 10 ** (-RANGE_DB / 20)
    if loudest == 0 or not cells.any():
        return 0.0
    floor = loudest * 10 ** (-FLOOR_DB / 20)
    ratio = np.maximum(x[cells], floor) / np.maximum(y[cells], floor)
    return float(20 * np.abs(np.log10(ratio)).mean())


@lru_cache(maxsize=8)
def _mel_filters(sample_rate: int) -> NDArray[np.float32]:
    """Triangles on power, of height 1, float32 (80, 513)."""

    def to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
        return np.asarray(np.where(hertz < 1000, hertz * 3 / 200, above))

    frequencies = np.arange(MEL_WINDOW // 2 + 1) * sample_rate / MEL_WINDOW
    axis = np.linspace(0, sample_rate / 2, 20_000)
    edges = np.interp(np.linspace(0, to_mel(axis)[-1], MEL_BANDS + 2), to_mel(axis), axis)
    bin_width = sample_rate / MEL_WINDOW
    left = np.maximum(edges[1:-1] - edges[:-2], bin_width)[:, None]
    right = np.maximum(edges[2:] - edges[1:-1], bin_width)[:, None]
    offset = frequencies - edges[1:-1, None]
    triangles = 1 - np.abs(offset) / np.where(offset < 0, left, right)
    return np.maximum(0, triangles).astype(np.float32)
