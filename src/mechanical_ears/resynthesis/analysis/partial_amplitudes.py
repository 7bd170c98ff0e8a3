"""The partials of a note: amplitudes and phases over time, as rows of a control map.

Windows of four periods separate the partials of a series from each other, but not a free mode from
a partial beside it. Where a mode is within 2/L of others, their readings b are mixed by the lobe W
of the window,

    b_j = Σ_k W((f_j − f_k) L) a_k        or        a = (W + ε I)⁻¹ b

and are separated again, with a small ridge ε for those too close to separate.

Above the partials with rows of their own, the power p_m(t) is an envelope e_g(t) over a geometric
grid, times a constant of each partial: p_m(t) ≈ φ_m² Σ_g w_mg e_g(t), where 20 log10 φ_m is the
mean over time of the distance in dB, weighted by the envelope's amplitude, and not much more than
the distance of the mean powers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul
from mechanical_ears.resynthesis.control_map import GROUPS, SILENCE_DB, group_weights
from mechanical_ears.resynthesis.decibels import SILENCE_POWER, db_to_power, power_to_db
from mechanical_ears.resynthesis.window_functions import hann_lobe

LOBE_BINS: Final = 2.0  # of the window, within which partials mix
MAX_EXCESS: Final = 0.7  # nepers of power, 3 dB, of the mean of decibels above that of powers
MIN_FINE_DB, MAX_FINE_DB = -60.0, 60.0  # dB


def separate_modes(
    readings: NDArray[np.complex64],
    frequencies: NDArray[np.float64],
    is_mode: NDArray[np.bool_],
    window_seconds: float,
    ridge: float,
) -> NDArray[np.complex64]:
    """Amplitudes of partials and modes, from readings that mix those close to each other.

    Args:
        readings: complex64 (frames, partials).
        frequencies: Hz, float64 (partials,).
        is_mode: bool (partials,), which of them are free modes.
        window_seconds: s, length of the windows.
        ridge: ε.
    """
    distance = (frequencies[:, None] - frequencies) * window_seconds
    mixed = np.flatnonzero((np.abs(distance[:, is_mode]) < LOBE_BINS).sum(axis=1) > is_mode)
    if len(mixed) < 2:
        return readings
    lobes = hann_lobe(distance[np.ix_(mixed, mixed)]) + ridge * np.eye(len(mixed))
    separated = readings.copy()
    separated[:, mixed] = readings[:, mixed] @ np.linalg.inv(lobes).astype(np.float32)
    return separated


def fit_envelope(power: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Envelope and fine structure of the partials above the singles.

    Args:
        power: float32 (partials, frames), of partial 49 and up, as many as there are.

    Returns:
        Envelope, dB, float32 (16, frames), and fine structure, dB, float32 (336,); −60 for partials
        that are silent throughout.
    """
    weights = group_weights()
    sounding = np.flatnonzero(power.max(axis=1, initial=0) > SILENCE_POWER)
    if not len(sounding):
        silent = np.full((GROUPS, power.shape[1]), SILENCE_DB, dtype=np.float32)
        return silent, np.zeros(len(weights), dtype=np.float32)
    fine = np.full(len(weights), MIN_FINE_DB, dtype=np.float32)
    power, weights = power[sounding], weights[sounding]
    floored = np.maximum(power, SILENCE_POWER)
    share = (weights / np.maximum(weights.sum(axis=0), 1e-6)).T
    model = np.maximum(matmul(weights, matmul(share, floored)), SILENCE_POWER)
    trust = np.sqrt(model) * (power > SILENCE_POWER)
    distance = (np.log(floored / model) * trust).sum(axis=1) / np.maximum(trust.sum(axis=1), 1e-12)
    of_means = np.log(floored.sum(axis=1) / model.sum(axis=1))  # low for a short burst
    distance = np.minimum(distance, of_means + MAX_EXCESS) * (10 / np.log(10))
    fine[sounding] = np.clip(distance, MIN_FINE_DB, MAX_FINE_DB)
    parts = weights.T @ db_to_power(fine[sounding])
    envelope = matmul(weights.T, power) / np.maximum(parts, SILENCE_POWER)[:, None]
    return power_to_db(envelope), fine
