"""Faults that are audible in any note: clicks, DC offset, clipping, silence.

A click is a moment at which the waveform differs from its prediction by the 64 samples before it
far more than anywhere around (Godsill and Rayner, "Digital audio restoration", 1998). With linear
prediction coefficients a of windows of 0.2 s, the prediction error is

    e[n] = |x[n] − Σ_k a_k x[n − k]|

and with E its maxima over blocks of 1 ms, block i holds a click if

    E[i] > 4 · max E[j] for all 6 ≤ |i − j| ≤ 64

and if E[i] is above 5 % of the peak of the waveform in these blocks, and above 0.1 % of the peak of
the note.

The neighbours reach over two periods of the lowest key of a piano, so that the pulses of a low
reed, each as strong as the one before, are no clicks; noise never exceeds 4 times its own maximum.
The first 50 ms and the last 10 ms are not searched, because an attack may be a click; but the sound
must not begin or end with a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BLOCK_SECONDS: Final = 0.001
NEAR_BLOCKS, FAR_BLOCKS = 6, 64  # to each side, between which neighbours are
CLICK_RATIO: Final = 4.0  # times the maximum of the neighbours
MIN_ERROR: Final = 1e-3  # of the peak, −60 dB
MIN_LOCAL_ERROR: Final = 0.05  # of the peak within 64 ms, −26 dB
ORDER: Final = 64  # samples from which the next one is predicted
HOP_SECONDS: Final = 0.1  # for which one prediction is used; it is fitted to a window of two hops
REGULARISATION: Final = 1e-7  # of the power, added as white noise: no prediction is exact
ATTACK_SECONDS: Final = 0.05
RELEASE_SECONDS: Final = 0.01
MAX_EDGE: Final = 0.02  # of the peak, −34 dB: level of the first and the last sample
MAX_OFFSET: Final = 0.01  # of the peak, −40 dB: mean of a window
OFFSET_SECONDS: Final = 0.5  # of the Hann windows in which means are measured
FULL_SCALE: Final = 1.0  # beyond which files clip
SILENCE_PEAK: Final = 1e-3  # −60 dBFS


@dataclass(frozen=True)
class Faults:
    """Faults of a note.

    Attributes:
        clicks: number of clicks, a step at the beginning or the end included.
        offset: whether it has a DC offset.
        clipped: whether it exceeds full scale.
        silent: whether it is silent, or holds a sample that is not finite.
    """

    clicks: int
    offset: bool
    clipped: bool
    silent: bool


def find_faults(samples: NDArray[np.float32], sample_rate: int) -> Faults:
    """Search a note for faults.

    Args:
        samples: float32 (samples,), full scale is [-1, 1], onset at the start.
        sample_rate: Hz.
    """
    finite = bool(np.isfinite(samples).all())
    peak = float(np.abs(samples).max()) if finite and len(samples) else 0.0
    if peak < SILENCE_PEAK:
        return Faults(0, offset=False, clipped=False, silent=True)
    edges = int(abs(samples[0]) > MAX_EDGE * peak) + int(abs(samples[-1]) > MAX_EDGE * peak)
    return Faults(
        clicks=edges + len(find_clicks(samples, sample_rate)),
        offset=bool(_largest_mean(samples, sample_rate) > MAX_OFFSET * peak),
        clipped=peak > FULL_SCALE,
        silent=False,
    )


def find_clicks(samples: NDArray[np.float32], sample_rate: int) -> list[float]:
    """Times of clicks in s, between attack and release; see the module.

    Args:
        samples: float32 (samples,), onset at the start.
        sample_rate: Hz.
    """
    size = round(BLOCK_SECONDS * sample_rate)
    count = len(samples) // size
    if count < 2:
        return []
    errors = _prediction_errors(samples, sample_rate)[: count * size]
    maxima = errors.reshape(count, size).max(axis=1)
    reach = FAR_BLOCKS - NEAR_BLOCKS + 1  # blocks on each side
    sides = sliding_window_view(np.pad(maxima, FAR_BLOCKS), reach).max(axis=1)
    before, after = sides[:count], sides[FAR_BLOCKS + NEAR_BLOCKS :][:count]
    peaks = np.abs(samples[: count * size]).reshape(count, size).max(axis=1)
    local_peaks = sliding_window_view(np.pad(peaks, FAR_BLOCKS), 2 * FAR_BLOCKS + 1).max(axis=1)
    threshold = np.maximum(MIN_ERROR * peaks.max(), MIN_LOCAL_ERROR * local_peaks)
    found = (maxima > CLICK_RATIO * np.maximum(before, after)) & (maxima > threshold)
    found[: round(ATTACK_SECONDS / BLOCK_SECONDS)] = False
    found[-round(RELEASE_SECONDS / BLOCK_SECONDS) :] = False
    blocks = np.flatnonzero(found)
    # a click on the border of two blocks is one
    first = np.diff(blocks, prepend=-NEAR_BLOCKS) >= NEAR_BLOCKS
    return [float(block * size / sample_rate) for block in blocks[first]]


def _prediction_errors(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Absolute error of the linear prediction of each sample, float64 (samples,)."""
    hop = round(HOP_SECONDS * sample_rate)
    count = -(-len(samples) // hop)
    padded = np.zeros((count + 1) * hop + ORDER)
    padded[hop // 2 + ORDER :][: len(samples)] = samples
    windows = sliding_window_view(padded[ORDER:], 2 * hop)[::hop] * np.hanning(2 * hop)
    size = 2 * hop + ORDER
    spectra = np.fft.rfft(windows, size + size % 2)
    autocorrelation = np.fft.irfft(spectra.real**2 + spectra.imag**2)[:, : ORDER + 1]
    autocorrelation[:, 0] = autocorrelation[:, 0] * (1 + REGULARISATION) + 1e-30
    lags = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER))
    # the Yule-Walker equations; coefficients of 1, 2, … samples before
    coefficients = np.linalg.solve(autocorrelation[:, lags], autocorrelation[:, 1:, None])
    aligned = padded[hop // 2 : hop // 2 + ORDER + count * hop]
    history = sliding_window_view(aligned, ORDER)[:-1].reshape(count, hop, ORDER)
    predicted = (history @ coefficients[:, ::-1])[..., 0].ravel()[: len(samples)]
    return np.asarray(np.abs(samples - predicted))


def _largest_mean(samples: NDArray[np.float32], sample_rate: int) -> float:
    """The largest absolute mean of half overlapping Hann windows, at least one."""
    size = min(round(OFFSET_SECONDS * sample_rate), len(samples))
    window = np.hanning(size + 2)[1:-1]
    parts = sliding_window_view(samples, size)[:: max(1, size // 2)]
    return float(np.abs(parts @ window / window.sum()).max())
