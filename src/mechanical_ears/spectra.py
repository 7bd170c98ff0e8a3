"""Short-time Fourier transform, spectrum and spectrogram of a sound.

The short-time Fourier transform slides a window of N samples over the sound in steps of H samples:

    X[k, m] = Σ_n w[n] · y[m H + n] · e^(−2πi k n / N)        k = 0 … N/2
    w[n] = ½ − ½ cos(2π n / N)                                (the periodic Hann window)

Bin k is at k · rate / N Hz and, with N/2 zeros added before and after the sound, frame m is centred
on m · H / rate seconds (Allen and Rabiner, "A unified approach to short-time Fourier analysis and
synthesis", 1977). These are the numbers that librosa's ``stft`` gives by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]
WINDOW_SAMPLES = 2048  # samples
HOP_SAMPLES = 512  # samples
FLOOR_DB = -80.0  # dB relative to the maximum
_BLOCK_FRAMES = 256  # frames transformed at a time, which bounds the memory of long sounds


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Intensity of each frequency in a whole sound.

    Attributes:
        frequencies: Hz, float64 (bins,).
        intensities: sum of the magnitudes of all frames, float32 (bins,).
    """

    frequencies: NDArray[np.float64]
    intensities: NDArray[np.float32]

    def decibels(self, floor: float = FLOOR_DB) -> NDArray[np.float32]:
        """Intensities in dB relative to the strongest, float32 (bins,) in [floor, 0]."""
        return _decibels(self.intensities, floor)


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Magnitude of each frequency at each time.

    Attributes:
        magnitudes: |STFT|, float32 (bins, frames).
        frequencies: Hz, float64 (bins,).
        times: centres of the frames in s, float64 (frames,).
    """

    magnitudes: NDArray[np.float32]
    frequencies: NDArray[np.float64]
    times: NDArray[np.float64]

    def decibels(self, floor: float = FLOOR_DB) -> NDArray[np.float32]:
        """Magnitudes in dB relative to the strongest, float32 (bins, frames) in [floor, 0].

        Silence is ``floor`` everywhere.
        """
        return _decibels(self.magnitudes, floor)


def stft(
    samples: Samples, window: int = WINDOW_SAMPLES, hop: int = HOP_SAMPLES, centre: bool = True
) -> NDArray[np.complex64]:
    """Short-time Fourier transform.

    Args:
        samples: float32 (samples,), of any length; a short one is padded with zeros to one window.
        window: samples in a window, N.
        hop: samples between windows, H.
        centre: pad with N/2 zeros on both sides, so that frame m is centred on sample m · H.

    Returns:
        complex64 (N/2 + 1, frames); if centred and N is even, 1 + samples // hop frames.

    Raises:
        ValueError: window or hop is below 1, or there is more than one channel.
    """
    if window < 1 or hop < 1:
        raise ValueError(f"window {window} and hop {hop} must be at least 1 sample")
    if np.ndim(samples) != 1:
        raise ValueError(f"samples have the shape {np.shape(samples)}, not (samples,)")
    padding = window // 2 if centre else 0
    missing = max(0, window - len(samples) - 2 * padding)
    padded = np.pad(np.asarray(samples, dtype=np.float32), (padding, padding + missing))
    frames = sliding_window_view(padded, window)[::hop]
    taper = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    transform = np.empty((window // 2 + 1, len(frames)), dtype=np.complex64)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = frames[start : start + _BLOCK_FRAMES] * taper
        transform[:, start : start + _BLOCK_FRAMES] = np.fft.rfft(block).T
    return transform


def fft_frequencies(sample_rate: int, window: int = WINDOW_SAMPLES) -> NDArray[np.float64]:
    """Frequencies of the STFT's bins in Hz, float64 (window // 2 + 1,)."""
    bins = np.arange(window // 2 + 1, dtype=np.float64)
    return bins * sample_rate / window


def spectrum(
    samples: Samples, sample_rate: int, window: int = WINDOW_SAMPLES, hop: int = HOP_SAMPLES
) -> Spectrum:
    """Spectrum of a whole sound: the article's sum over frames of |STFT|.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        window: samples; a longer one resolves neighbouring frequencies better.
        hop: samples.
    """
    magnitudes = np.abs(stft(samples, window, hop))
    return Spectrum(fft_frequencies(sample_rate, window), magnitudes.sum(axis=1))


def spectrogram(
    samples: Samples, sample_rate: int, window: int = WINDOW_SAMPLES, hop: int = HOP_SAMPLES
) -> Spectrogram:
    """Spectrogram of a sound: |STFT| with its axes.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        window: samples; a longer one resolves frequencies better, a shorter one times.
        hop: samples.
    """
    magnitudes = np.abs(stft(samples, window, hop))
    times = np.arange(magnitudes.shape[1]) * hop / sample_rate
    return Spectrogram(magnitudes, fft_frequencies(sample_rate, window), times)


def _decibels(magnitudes: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    maximum = float(magnitudes.max())
    if maximum == 0:
        return np.full(magnitudes.shape, floor, dtype=np.float32)
    decibels = 20 * np.log10(np.maximum(magnitudes / maximum, 10 ** (floor / 20)))
    return np.asarray(np.maximum(decibels, floor), dtype=np.float32)
