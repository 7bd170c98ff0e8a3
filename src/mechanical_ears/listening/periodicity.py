"""Octave decision: the pitch that the network expects, weighed against the signal's periods.

A period T is a time after which the signal differs little from itself. With the autocorrelation r,
which is the Fourier transform of the power spectrum (Wiener and Khinchin) divided by that of the
window, and the difference of the signal from itself divided by the mean difference at all shorter
lags (de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music",
2002),

    d(τ) = 1 − r(τ) / r(0)                  y(τ) = τ · d(τ) / ∫₀^τ d

y is 1 for noise and 0 at a period and its multiples. The power spectrum is the sum of the front
end's long frames, each divided by its own total, so that the whole note counts and not its attack
alone. A key k of frequency 1/T has the evidence, in nats,

    e(k) = −``APERIODICITY_NATS`` · √y(T) + ``OCTAVE_NATS`` · k/12

where the last part prefers the shortest of equal periods: multiples of a period are periods, too.
The pitch that sounds is the likeliest by log p(k) + e(k), with p by the network. Whether an
instrument sounds at its key is not in the signal but known to the network, so that the key takes a
small share of the evidence only: log p(k) + ``KEY_SHARE`` · e(k).

``APERIODICITY_NATS`` and ``OCTAVE_NATS`` are fitted by softmax regression on notes of training and
validation presets; half of the weight is on training notes whose sounding label was unclear, so
that the network never learned it, and on which three pitch trackers of four agree. ``KEY_SHARE`` is
the greatest that costs no training preset its key. (docs/LOG.md has the figures.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.listening.frontend import PITCH_WINDOW, SAMPLE_RATE, layout
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, midi_to_hz

PIANO_KEYS: Final = slice(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1)
OVERSAMPLING: Final = 2  # lags per sample
REACH_CENTS: Final = 60.0  # to each side of a key where its period is searched
MAX_APERIODICITY: Final = 2.0  # y above it counts as this
APERIODICITY_NATS: Final = 22.0  # for a √y of 1
OCTAVE_NATS: Final = 1.8  # for each octave upward
KEY_SHARE: Final = 0.1  # of the evidence that counts for the key
MIN_PROBABILITY: Final = 1e-12  # added to the network's, so that all logarithms are finite


@cache
def _lags() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Window correction and search ranges.

    Returns:
        The window's own autocorrelation at lag 0 over that at each lag, float64 (lags,); and the
        first lag of each key's range with the lag behind its last one, int64 (2 · 88,).
    """
    rate = OVERSAMPLING * SAMPLE_RATE
    keys = range(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1)
    periods = rate / np.array([midi_to_hz(key) for key in keys])
    reach = 2 ** (REACH_CENTS / 1200)
    first = np.minimum(np.ceil(periods / reach), np.rint(periods)).astype(np.int64)
    last = np.maximum(np.floor(periods * reach), np.rint(periods)).astype(np.int64)
    spectrum = np.fft.rfft(layout().pitch_window, 2 * PITCH_WINDOW)
    window = np.fft.irfft(np.abs(spectrum) ** 2, 2 * OVERSAMPLING * PITCH_WINDOW)[: last[0] + 3]
    return window[0] / window, np.stack([first, last + 1], axis=1).ravel()


def aperiodicity(power: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far from periodic a note is at each key of the piano.

    Args:
        power: float32 (2049,), see `frontend.FrontEndFeatures`.

    Returns:
        float64 (88,), y for the keys 21 to 108: 0 at a period and its multiples, 1 for noise and
        for silence.
    """
    correction, edges = _lags()
    correlation = np.fft.irfft(power, OVERSAMPLING * PITCH_WINDOW)[: len(correction)]
    if correlation[0] <= 0:
        return np.ones(len(edges) // 2)
    difference = 1 - correlation * correction / correlation[0]
    sums = np.cumsum(difference)
    before, here, after = difference[:-2], difference[1:-1], difference[2:]
    curvature = before - 2 * here + after
    dips = np.flatnonzero((here <= before) & (here < after))
    lowest = here.copy()  # at dips, of the parabola through three lags
    lowest[dips] -= (before - after)[dips] ** 2 / (8 * curvature[dips])
    lags = np.arange(1, len(correction) - 1)
    yin = np.maximum(lowest, 0) * lags / np.maximum(sums[1:-1], 1e-9)
    return np.asarray(np.minimum.reduceat(yin, edges - 1)[::2])


@dataclass(frozen=True, eq=False)
class PitchProbabilities:
    """Network and signal together.

    Attributes:
        key: float64 (128,), probability of each key.
        sounding: float64 (128,), probability that each MIDI number sounds.
    """

    key: NDArray[np.float64]
    sounding: NDArray[np.float64]


def weigh_octaves(
    key: NDArray[np.float32], sounding: NDArray[np.float32], power: NDArray[np.float32]
) -> PitchProbabilities:
    """Weigh what the network expects against the periods of the signal.

    Outside the piano's range, where no period is searched for, the network alone decides.

    Args:
        key: float32 (128,), probability of each key by the network.
        sounding: float32 (128,), probability that each MIDI number sounds, by the network.
        power: float32 (2049,), see `frontend.FrontEndFeatures`.
    """
    evidence = np.full(len(key), -APERIODICITY_NATS)
    evidence[PIANO_KEYS] *= np.sqrt(np.minimum(aperiodicity(power), MAX_APERIODICITY))
    evidence += np.arange(len(key)) * (OCTAVE_NATS / 12)
    weighed = np.asarray(sounding, dtype=np.float64)
    if PIANO_KEYS.start <= int(sounding.argmax()) < PIANO_KEYS.stop:
        logits = np.log(sounding[PIANO_KEYS] + MIN_PROBABILITY) + evidence[PIANO_KEYS]
        weighed = np.zeros(len(sounding))
        weighed[PIANO_KEYS] = _softmax(logits)
    logits = np.log(key + MIN_PROBABILITY, dtype=np.float64)
    if PIANO_KEYS.start <= int(key.argmax()) < PIANO_KEYS.stop:
        logits += KEY_SHARE * evidence
    return PitchProbabilities(_softmax(logits), weighed)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
