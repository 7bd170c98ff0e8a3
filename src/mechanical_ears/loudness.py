"""Loudness of a note as people perceive it: the loudest momentary loudness of ITU-R BS.1770.

    L = −0.691 + 10 · log10(mean of y² over 0.4 s)  LUFS

with y the sound behind two filters: one for the head (a shelf of +4 dB above 1.5 kHz) and a high
pass for the low sensitivity of hearing to very low frequencies. The recommendation gives both as
filters at 48 kHz; here their gain |H(f)| is applied to the spectrum, which works at every sample
rate. A sine of 997 Hz at full scale has −3.01 LUFS.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_SECONDS: Final = 0.4
HOP_SECONDS: Final = 0.1
OFFSET_DB: Final = -0.691
SILENCE_LUFS: Final = -120.0  # the lowest result
_FILTER_RATE: Final = 48_000  # Hz, of the filters below: numerator and denominator
_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


def loudness(samples: NDArray[np.float32], sample_rate: int) -> float:
    """Loudness of the loudest 0.4 s, LUFS; −120 for silence.

    Args:
        samples: float32 (samples,), in [-1, 1].
        sample_rate: Hz.
    """
    if len(samples) == 0:
        return SILENCE_LUFS
    spectrum = np.fft.rfft(samples) * _gain(len(samples), sample_rate)
    filtered = np.fft.irfft(spectrum, len(samples))
    window, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    energy = np.concatenate([[0.0], np.cumsum(np.square(filtered))])
    starts = np.arange(0, max(len(samples) - window, 0) + 1, hop)
    ends = np.minimum(starts + window, len(samples))
    loudest = float((energy[ends] - energy[starts]).max()) / window
    return max(SILENCE_LUFS, OFFSET_DB + 10 * float(np.log10(max(loudest, 1e-30))))


@lru_cache(maxsize=8)
def _gain(samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Gain |H(f)| of both filters at the bins of a real transform, float32 (samples // 2 + 1,)."""
    cycles = np.arange(samples // 2 + 1) * (sample_rate / samples / _FILTER_RATE)  # per sample
    delay = np.exp(-2j * np.pi * cycles)

    def response(coefficients: tuple[float, float, float]) -> NDArray[np.complex128]:
        return np.polyval(coefficients[::-1], delay)

    gain = np.ones(len(cycles))
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        gain *= np.abs(response(numerator) / response(denominator))
    return gain.astype(np.float32)
