"""How loud a note is to people: the momentary loudness of ITU-R BS.1770, at its loudest.

    L = −0.691 + 10 · log10(mean of y² over 0.4 s)  LUFS

with y the sound behind two filters, one for the head (a shelf of +4 dB above 1.5 kHz), one for how
little we hear of what is very low. The recommendation gives both as filters at 48 kHz; their gain
|H(f)| is applied here to the spectrum, which serves every sample rate. A sine of 997 Hz at full
scale has −3.01 LUFS.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 0.4  # s
HOP: Final = 0.1  # s
OFFSET: Final = -0.691  # dB
SILENCE: Final = -120.0  # LUFS, the least that is told
_RATE: Final = 48_000  # Hz, of the filters below
_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_LOW_CUT: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


def loudness(samples: NDArray[np.float32], sample_rate: int) -> float:
    """Loudness of the loudest 0.4 s, LUFS, −120 for silence.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
    """
    heard = np.fft.irfft(
        np.fft.rfft(samples) * _gain(len(samples), sample_rate), max(len(samples), 1)
    )
    window, hop = round(WINDOW * sample_rate), round(HOP * sample_rate)
    energy = np.concatenate([[0.0], np.cumsum(np.square(heard))])
    starts = np.arange(0, max(len(samples) - window, 0) + 1, hop)
    ends = np.minimum(starts + window, len(samples))
    loudest = float((energy[ends] - energy[starts]).max()) / window
    return max(SILENCE, OFFSET + 10 * float(np.log10(max(loudest, 1e-30))))


@lru_cache(maxsize=8)
def _gain(samples: int, sample_rate: int) -> NDArray[np.float32]:
    turns = np.arange(samples // 2 + 1) * (sample_rate / samples / _RATE)
    delay = np.exp(-2j * np.pi * turns)

    def response(coefficients: tuple[float, float, float]) -> NDArray[np.complex128]:
        return np.polyval(coefficients[::-1], delay)

    gain = np.ones(len(turns))
    for above, below in (_SHELF, _LOW_CUT):
        gain *= np.abs(response(above) / response(below))
    return gain.astype(np.float32)
