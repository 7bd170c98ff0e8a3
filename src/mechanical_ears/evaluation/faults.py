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

BLOCK_SECONDS: Final = 0.001  # s
NEAR_BLOCKS, FAR_BLOCKS = 6, 64  # blocks to each side, between which neighbours lie
CLICK_RATIO: Final = 4.0  # times the neighbours' maximum
MIN_ERROR: Final = 1e-3  # of the peak, −60 dB
MIN_LOCAL_ERROR: Final = 0.05  # of the peak within 64 ms, −26 dB
ORDER: Final = 64  # samples from which the next one is predicted
HOP_SECONDS: Final = 0.1  # s that one prediction serves; it is fitted to twice as much around
REGULARISATION: Final = 1e-7  # of the power, taken for noise: no prediction is without error
ATTACK_SECONDS: Final = 0.05  # s
RELEASE_SECONDS: Final = 0.01  # s
MAX_EDGE: Final = 0.02  # of the peak, −34 dB, that the first and the last sample may have
MAX_OFFSET: Final = 0.01  # of the peak, −40 dB, from which a mean is an offset
OFFSET_SECONDS: Final = 0.5  # s, of the Hann windows in which means are taken
FULL_SCALE: Final = 1.0  # full scale, beyond which files clip
SILENCE_PEAK: Final = 1e-3  # peak, −60 dBFS, below which there is nothing to hear


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


def find_faults(samples: NDArray[np.float32], sample_rate: int) -> Faults:
    """Look for faults in a note.

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
    """Where it clicks, s, beside the attack and the edges; see the module."""
    size = round(BLOCK_SECONDS * sample_rate)
    count = len(samples) // size
    if count < 2:
        return []
    errors = _prediction_errors(samples, sample_rate)[: count * size]
    blocks = errors.reshape(count, size).max(axis=1)
    reach = FAR_BLOCKS - NEAR_BLOCKS + 1  # blocks on each side
    sides = sliding_window_view(np.pad(blocks, FAR_BLOCKS), reach).max(axis=1)
    before, after = (
        sides[:count],
        sides[FAR_BLOCKS + NEAR_BLOCKS : FAR_BLOCKS + NEAR_BLOCKS + count],
    )
    levels = np.abs(samples[: count * size]).reshape(count, size).max(axis=1)
    here = sliding_window_view(np.pad(levels, FAR_BLOCKS), 2 * FAR_BLOCKS + 1).max(axis=1)
    least = np.maximum(MIN_ERROR * levels.max(), MIN_LOCAL_ERROR * here)
    found = (blocks > CLICK_RATIO * np.maximum(before, after)) & (blocks > least)
    found[: round(ATTACK_SECONDS / BLOCK_SECONDS)] = False
    found[-round(RELEASE_SECONDS / BLOCK_SECONDS) :] = False
    places = np.flatnonzero(found)
    new = (
        np.diff(places, prepend=-NEAR_BLOCKS) >= NEAR_BLOCKS
    )  # a click on the border of two blocks is one
    return [float(place * size / sample_rate) for place in places[new]]


def _prediction_errors(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """How far each sample is from what was to be expected, float64 (samples,)."""
    hop = round(HOP_SECONDS * sample_rate)
    count = -(-len(samples) // hop)
    padded = np.zeros((count + 1) * hop + ORDER)
    padded[hop // 2 + ORDER :][: len(samples)] = samples
    around = sliding_window_view(padded[ORDER:], 2 * hop)[::hop] * np.hanning(2 * hop)
    size = 2 * hop + ORDER
    spectra = np.fft.rfft(around, size + size % 2)
    alike = np.fft.irfft(spectra.real**2 + spectra.imag**2)[:, : ORDER + 1]  # autocorrelation
    alike[:, 0] = alike[:, 0] * (1 + REGULARISATION) + 1e-30
    lags = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER))
    weights = np.linalg.solve(alike[:, lags], alike[:, 1:, None])  # of 1, 2, … samples before
    middle = padded[hop // 2 : hop // 2 + ORDER + count * hop]
    pasts = sliding_window_view(middle, ORDER)[:-1].reshape(count, hop, ORDER)
    expected = (pasts @ weights[:, ::-1])[..., 0].ravel()[: len(samples)]
    return np.asarray(np.abs(samples - expected))


def _largest_mean(samples: NDArray[np.float32], sample_rate: int) -> float:
    """The largest mean of the windows, half overlapping, at least one."""
    size = min(round(OFFSET_SECONDS * sample_rate), len(samples))
    window = np.hanning(size + 2)[1:-1]
    parts = sliding_window_view(samples, size)[:: max(1, size // 2)]
    return float(np.abs(parts @ window / window.sum()).max())
