"""Which octave sounds: what the network expects, weighed against the periods of the signal.

A period T is one where the signal differs little from itself T later. With the autocorrelation r,
which is the Fourier transform of the power spectrum (Wiener and Khinchin) over that of the window,
and the difference of the signal from itself divided by the mean difference at all shorter lags (de
Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music", 2002),

    d(τ) = 1 − r(τ) / r(0)                  y(τ) = τ · d(τ) / ∫₀^τ d

y is 1 for noise and 0 at a period and its multiples. The powers are those of the front end's long
frames, each divided by its own total, so that the whole note counts and not its attack alone. A key
k of frequency 1/T then has the evidence, in nats,

    e(k) = −``WEIGHT`` · √y(T) + ``HIGHER`` · k/12

where the last part prefers the shortest of equals: multiples of a period are periods, too. The
pitch that sounds is the likeliest by log p(k) + e(k), with p by the network. Instruments that do
not sound at their key are known by heart, not heard, so that the key is leaned on the evidence a
little only: log p(k) + ``LEANING`` · e(k).

``WEIGHT`` and ``HIGHER`` are fitted by softmax regression on notes of training and validation
presets; half of the weight lies on training notes whose sounding label was unclear, so that the
network never learned it, and on which three trackers of four agree. ``LEANING`` is the greatest
weight that costs no training preset its key. (docs/LOG.md has the figures.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.listening.frontend import PITCH_WINDOW, SAMPLE_RATE, layout
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, midi_to_hz

PIANO: Final = slice(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1)
FINER: Final = 2  # lags a sample
REACH: Final = 60.0  # cents to each side of a key at which its period is looked for
MOST: Final = 2.0  # of y that makes a difference
WEIGHT: Final = 22.0  # nats for a difference of 1
LEAST: Final = 1e-12  # probability by the network that is told from none
HIGHER: Final = 1.8  # nats an octave
LEANING: Final = 0.1


@cache
def _lags() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What each lag's autocorrelation is multiplied by (lags,), and where the keys' lags lie."""
    rate = FINER * SAMPLE_RATE
    keys = range(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1)
    periods = rate / np.array([midi_to_hz(key) for key in keys])
    reach = 2 ** (REACH / 1200)
    first = np.minimum(np.ceil(periods / reach), np.rint(periods)).astype(np.int64)
    last = np.maximum(np.floor(periods * reach), np.rint(periods)).astype(np.int64)
    spectrum = np.fft.rfft(layout().pitch_window, 2 * PITCH_WINDOW)
    window = np.fft.irfft(np.abs(spectrum) ** 2, 2 * FINER * PITCH_WINDOW)[: last[0] + 3]
    return window[0] / window, np.stack([first, last + 1], axis=1).ravel()


def aperiodicity(power: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far from periodic a note is at each key.

    Args:
        power: float32 (2049,), see `frontend.Heard`.

    Returns:
        float64 (88,), y for the keys 21 to 108: 0 at a period and its multiples, 1 for noise.
    """
    inverse, edges = _lags()
    correlation = np.fft.irfft(power, FINER * PITCH_WINDOW)[: len(inverse)]
    if correlation[0] <= 0:
        return np.ones(len(edges) // 2)
    difference = 1 - correlation * inverse / correlation[0]
    sums = np.cumsum(difference)
    before, here, after = difference[:-2], difference[1:-1], difference[2:]
    bend = before - 2 * here + after
    dips = np.flatnonzero((here <= before) & (here < after))
    lowest = here.copy()
    lowest[dips] -= (before - after)[dips] ** 2 / (8 * bend[dips])  # of the parabola through three
    places = np.arange(1, len(inverse) - 1)
    yin = np.maximum(lowest, 0) * places / np.maximum(sums[1:-1], 1e-9)
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


def weigh(
    key: NDArray[np.float32], sounding: NDArray[np.float32], power: NDArray[np.float32]
) -> PitchProbabilities:
    """Weigh what the network expects against the periods of the signal.

    Outside the piano's range, where no period is searched for, the network alone decides.

    Args:
        key: float32 (128,), probability of each key by the network.
        sounding: float32 (128,), probability that each MIDI number sounds, by the network.
        power: float32 (2049,), see `frontend.FrontEndFeatures`.
    """
    evidence = np.full(len(key), -WEIGHT)
    evidence[PIANO] = -WEIGHT * np.sqrt(np.minimum(aperiodicity(power), MOST))
    evidence += np.arange(len(key)) * (HIGHER / 12)
    weighed = np.asarray(sounding, dtype=np.float64)
    if PIANO.start <= int(sounding.argmax()) < PIANO.stop:
        weighed = np.zeros(len(sounding))
        weighed[PIANO] = _softmax(np.log(sounding[PIANO] + LEAST) + evidence[PIANO])
    logits = np.log(key + LEAST, dtype=np.float64)
    if PIANO.start <= int(key.argmax()) < PIANO.stop:
        logits += LEANING * evidence
    return PitchProbabilities(_softmax(logits), weighed)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
