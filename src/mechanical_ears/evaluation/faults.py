"""What is wrong with a note whatever it is meant to sound like: clicks, offset, clipping, silence.

A click is a moment at which the waveform is not what the 64 samples before it lead to expect, far
more than all around it (Godsill and Rayner, "Digital audio restoration", 1998). With the linear
prediction a of windows of 0.2 s, the error

    e[n] = |x[n] − Σ_k a_k x[n − k]|

and its maxima E over blocks of 1 ms, block i clicks if

    E[i] > 4 · max E[j] for all 6 ≤ |i − j| ≤ 64

and if E[i] passes 5 % of what the waveform reaches in these blocks, and 0.1 % of its peak.

The neighbours reach over two periods of the lowest key of a piano, so that the pulses of a low
reed, each as strong as the last one, are none; noise never passes 4 times its own maximum. In the
first 50 ms and the last 10 ms nothing is looked for, for an attack is allowed to be one; but the
sound must not begin or end with a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BLOCK: Final = 0.001  # s
NEAR, FAR = 6, 64  # blocks to each side, between which neighbours lie
STANDS_OUT: Final = 4.0  # times the neighbours' maximum
LEAST_ERROR: Final = 1e-3  # of the peak, −60 dB
LEAST_HERE: Final = 0.05  # of the peak within 64 ms, −26 dB
ORDER: Final = 64  # samples from which the next one is predicted
PREDICTED: Final = 0.1  # s that one prediction serves; it is fitted to twice as much around
RIDGE: Final = 1e-7  # of the power, taken for noise: no prediction is without error
ATTACK: Final = 0.05  # s
RELEASED: Final = 0.01  # s
STEP: Final = 0.02  # of the peak, −34 dB, that the first and the last sample may have
OFFSET: Final = 0.01  # of the peak, −40 dB, from which a mean is an offset
OFFSET_SECONDS: Final = 0.5  # s, of the Hann windows in which means are taken
FULL: Final = 1.0  # full scale, beyond which files clip
SILENT: Final = 1e-3  # peak, −60 dBFS, below which there is nothing to hear


@dataclass(frozen=True)
class Faults:
    """What is wrong with a note.

    Attributes:
        clicks: how many, a step at the beginning or the end included.
        offset: whether it lies beside zero.
        clipped: whether it passes full scale.
        silent: whether there is nothing to hear, or a sample is not a finite number.
    """

    clicks: int
    offset: bool
    clipped: bool
    silent: bool


def faults(samples: NDArray[np.float32], sample_rate: int) -> Faults:
    """Look for faults in a note.

    Args:
        samples: float32 (samples,), full scale is [-1, 1], onset at the start.
        sample_rate: Hz.
    """
    finite = bool(np.isfinite(samples).all())
    peak = float(np.abs(samples).max()) if finite and len(samples) else 0.0
    if peak < SILENT:
        return Faults(0, offset=False, clipped=False, silent=True)
    edges = int(abs(samples[0]) > STEP * peak) + int(abs(samples[-1]) > STEP * peak)
    return Faults(
        clicks=edges + len(clicks(samples, sample_rate)),
        offset=bool(_offset(samples, sample_rate) > OFFSET * peak),
        clipped=peak > FULL,
        silent=False,
    )


def clicks(samples: NDArray[np.float32], sample_rate: int) -> list[float]:
    """Where it clicks, s, beside the attack and the edges; see the module."""
    size = round(BLOCK * sample_rate)
    count = len(samples) // size
    if count < 2:
        return []
    errors = _prediction_errors(samples, sample_rate)[: count * size]
    blocks = errors.reshape(count, size).max(axis=1)
    reach = FAR - NEAR + 1  # blocks on each side
    sides = sliding_window_view(np.pad(blocks, FAR), reach).max(axis=1)
    before, after = sides[:count], sides[FAR + NEAR : FAR + NEAR + count]
    levels = np.abs(samples[: count * size]).reshape(count, size).max(axis=1)
    here = sliding_window_view(np.pad(levels, FAR), 2 * FAR + 1).max(axis=1)
    least = np.maximum(LEAST_ERROR * levels.max(), LEAST_HERE * here)
    found = (blocks > STANDS_OUT * np.maximum(before, after)) & (blocks > least)
    found[: round(ATTACK / BLOCK)] = False
    found[-round(RELEASED / BLOCK) :] = False
    places = np.flatnonzero(found)
    new = np.diff(places, prepend=-NEAR) >= NEAR  # a click on the border of two blocks is one
    return [float(place * size / sample_rate) for place in places[new]]


def _prediction_errors(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """How far each sample is from what was to be expected, float64 (samples,)."""
    hop = round(PREDICTED * sample_rate)
    count = -(-len(samples) // hop)
    padded = np.zeros((count + 1) * hop + ORDER)
    padded[hop // 2 + ORDER :][: len(samples)] = samples
    around = sliding_window_view(padded[ORDER:], 2 * hop)[::hop] * np.hanning(2 * hop)
    size = 2 * hop + ORDER
    spectra = np.fft.rfft(around, size + size % 2)
    alike = np.fft.irfft(spectra.real**2 + spectra.imag**2)[:, : ORDER + 1]  # autocorrelation
    alike[:, 0] = alike[:, 0] * (1 + RIDGE) + 1e-30
    lags = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER))
    weights = np.linalg.solve(alike[:, lags], alike[:, 1:, None])  # of 1, 2, … samples before
    middle = padded[hop // 2 : hop // 2 + ORDER + count * hop]
    pasts = sliding_window_view(middle, ORDER)[:-1].reshape(count, hop, ORDER)
    expected = (pasts @ weights[:, ::-1])[..., 0].ravel()[: len(samples)]
    return np.asarray(np.abs(samples - expected))


def _offset(samples: NDArray[np.float32], sample_rate: int) -> float:
    """The largest mean of the windows, half overlapping, at least one."""
    size = min(round(OFFSET_SECONDS * sample_rate), len(samples))
    window = np.hanning(size + 2)[1:-1]
    parts = sliding_window_view(samples, size)[:: max(1, size // 2)]
    return float(np.abs(parts @ window / window.sum()).max())
