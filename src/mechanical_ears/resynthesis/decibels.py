"""Decibels of amplitudes and powers, and back.

    dB = 20 · log10(amplitude) = 10 · log10(power)

Silence is −120 dB, `SILENCE_DB`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_map import SILENCE_DB

SILENCE_POWER: Final = 10 ** (SILENCE_DB / 10)  # squared amplitude


def db_to_amplitude(decibels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Amplitudes of decibels, of the same shape."""
    return np.asarray(np.exp2(decibels * np.float32(np.log2(10) / 20)))


def db_to_power(decibels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Powers of decibels, of the same shape."""
    return np.asarray(np.exp2(decibels * np.float32(np.log2(10) / 10)))


def power_to_db(power: NDArray[Any]) -> NDArray[np.float32]:
    """Decibels of powers, at least `SILENCE_DB`, float32 of the same shape."""
    return np.asarray(10 * np.log10(np.maximum(power, SILENCE_POWER)), dtype=np.float32)
