"""Spectra: which frequencies a sound holds, and when.

The short-time Fourier transform slides a window of N samples over the sound in steps of H samples:

    X[k, m] = Σ_n w[n] · y[m H + n] · e^(−2πi k n / N)        k = 0 … N/2
    w[n] = ½ − ½ cos(2π n / N)                                (the periodic Hann window)

Bin k stands at k · rate / N Hz and, with N/2 zeros laid before and behind the sound, frame m at
m · H / rate seconds (Allen and Rabiner, "A unified approach to short-time Fourier analysis and
synthesis", 1977). These are the numbers that librosa's ``stft`` gives by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

WINDOW_SAMPLES = 2048  # samples
HOP_SAMPLES = 512  # samples
FLOOR_DB = -80.0  # dB below the maximum
_BLOCK = 256  # frames transformed at a time, which bounds the memory of long sounds


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How strong each frequency is in a whole sound.

    Attributes:
        frequencies: Hz, float64 (bins,).
        intensities: the magnitudes of all frames summed, float32 (bins,).
    """

    frequencies: NDArray[np.float64]
    intensities: NDArray[np.float32]

    def decibels(self, floor: float = FLOOR_DB) -> NDArray[np.float32]:
        """Intensities in dB below the strongest, float32 (bins,) in [floor, 0]."""
        return _decibels(self.intensities, floor)


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """How strong each frequency is at each time.

    Attributes:
        magnitudes: |STFT|, float32 (bins, frames).
        frequencies: Hz, float64 (bins,).
        times: middles of the frames in s, float64 (frames,).
    """

    magnitudes: NDArray[np.float32]
    frequencies: NDArray[np.float64]
    times: NDArray[np.float64]

    def decibels(self, floor: float = FLOOR_DB) -> NDArray[np.float32]:
        """Magnitudes in dB below the strongest, float32 (bins, frames) in [floor, 0].

        Silence is ``floor`` everywhere.
        """
        return _decibels(self.magnitudes, floor)


def stft(
    samples: NDArray[np.float32],
    window: int = WINDOW_SAMPLES,
    hop: int = HOP_SAMPLES,
    centre: bool = True,
) -> NDArray[np.complex64]:
    """Short-time Fourier transform.

    Args:
        samples: float32 (samples,), of any length; one window at least is heard, with zeros behind.
        window: samples in a window, N.
        hop: samples between windows, H.
        centre: lay N/2 zeros before and behind, so that frame m is centred on sample m · H.

    Returns:
        complex64 (N/2 + 1, frames), with 1 + samples // hop frames where centred and N is even.

    Raises:
        ValueError: window or hop is below 1.
    """
    if window < 1 or hop < 1:
        raise ValueError(f"window {window} and hop {hop} must be at least 1 sample")
    padding = window // 2 if centre else 0
    short = max(0, window - len(samples) - 2 * padding)
    padded = np.pad(np.asarray(samples, dtype=np.float32), (padding, padding + short))
    frames = sliding_window_view(padded, window)[::hop]
    taper = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    transform = np.empty((window // 2 + 1, len(frames)), dtype=np.complex64)
    for start in range(0, len(frames), _BLOCK):
        block = frames[start : start + _BLOCK] * taper
        transform[:, start : start + _BLOCK] = np.fft.rfft(block).T
    return transform


def fft_frequencies(sample_rate: int, window: int = WINDOW_SAMPLES) -> NDArray[np.float64]:
    """Frequencies of the STFT's bins in Hz, float64 (window // 2 + 1,)."""
    bins = np.arange(window // 2 + 1, dtype=np.float64)
    return bins * sample_rate / window


def spectrum(
    samples: NDArray[np.float32],
    sample_rate: int,
    window: int = WINDOW_SAMPLES,
    hop: int = HOP_SAMPLES,
) -> Spectrum:
    """Spectrum of a whole sound: the article's sum over frames of |STFT|.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        window: samples; a longer one tells neighbouring frequencies apart better.
        hop: samples.
    """
    magnitudes = np.abs(stft(samples, window, hop))
    return Spectrum(fft_frequencies(sample_rate, window), magnitudes.sum(axis=1))


def spectrogram(
    samples: NDArray[np.float32],
    sample_rate: int,
    window: int = WINDOW_SAMPLES,
    hop: int = HOP_SAMPLES,
) -> Spectrogram:
    """Spectrogram of a sound: |STFT| with its axes.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        window: samples; a longer one tells frequencies apart better, a shorter one times.
        hop: samples.
    """
    magnitudes = np.abs(stft(samples, window, hop))
    times = np.arange(magnitudes.shape[1]) * hop / sample_rate
    return Spectrogram(magnitudes, fft_frequencies(sample_rate, window), times)


def _decibels(magnitudes: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    loudest = float(magnitudes.max())
    if loudest == 0:
        return np.full(magnitudes.shape, floor, dtype=np.float32)
    least = 10 ** (floor / 20)
    decibels = 20 * np.log10(np.maximum(magnitudes / loudest, least))
    return np.asarray(np.maximum(decibels, floor), dtype=np.float32)
