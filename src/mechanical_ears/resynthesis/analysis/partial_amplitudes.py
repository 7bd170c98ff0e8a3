"""The partials of a note: amplitudes and phases over time, as rows of a control map.

Windows of four periods tell the partials of a series apart, but not a free mode from a partial
beside it. Where a mode lies within 2/L of others, their readings b mix by the lobe W of the window,

    b_j = Σ_k W((f_j − f_k) L) a_k        or        a = (W + ε I)⁻¹ b

and are taken apart again, with a little ε for those too close to tell.

Above the partials with rows of their own, the power p_m(t) is an envelope e_g(t) over a geometric
grid, times what each partial stands out of it: p_m(t) ≈ φ_m² Σ_g w_mg e_g(t), where 20 log10 φ_m is
the mean over time of the distance in decibels, weighted by the envelope's amplitude, and not much
more than the distance of the mean powers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul
from mechanical_ears.resynthesis.analysis.framed_spectra import hann_lobe
from mechanical_ears.resynthesis.control_map import GROUPS, SILENCE_DB, group_weights

NOTHING: Final = 10 ** (SILENCE_DB / 10)  # power of silence
LOUDER: Final = 0.7  # nepers of power, 3 dB, by which a mean of decibels may pass that of powers
LEAST_FINE, MOST_FINE = -60.0, 60.0  # dB


def apart(
    read: NDArray[np.complex64],
    frequencies: NDArray[np.float64],
    is_mode: NDArray[np.bool_],
    length: float,
    ridge: float,
) -> NDArray[np.complex64]:
    """Readings of partials and modes that lie close to each other, taken apart.

    Args:
        read: complex64 (frames, partials).
        frequencies: Hz, float64 (partials,).
        is_mode: bool (partials,), which of them are free modes.
        length: s, of the windows.
        ridge: ε.
    """
    distance = (frequencies[:, None] - frequencies) * length
    mixed = np.flatnonzero((np.abs(distance[:, is_mode]) < 2).sum(axis=1) > is_mode)
    if len(mixed) < 2:
        return read
    near = distance[np.ix_(mixed, mixed)]
    lobes = hann_lobe(near) + ridge * np.eye(len(mixed))
    taken = read.copy()
    taken[:, mixed] = read[:, mixed] @ np.linalg.inv(lobes).astype(np.float32)
    return taken


def decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels of powers, at least ``SILENCE_DB``."""
    return np.asarray(10 * np.log10(np.maximum(power, NOTHING)), dtype=np.float32)


def envelope(power: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Envelope and fine structure of the partials above the singles.

    Args:
        power: float32 (partials, frames), of partial 49 and up, as many as there are.

    Returns:
        float32 (16, frames) in dB, and float32 (336,) in dB; −60 for partials that never sound.
    """
    weights = group_weights()
    sounds = np.flatnonzero(power.max(axis=1, initial=0) > NOTHING)
    if not len(sounds):
        silent = np.full((GROUPS, power.shape[1]), SILENCE_DB, dtype=np.float32)
        return silent, np.zeros(len(weights), dtype=np.float32)
    fine = np.full(len(weights), LEAST_FINE, dtype=np.float32)
    heard = np.maximum(power[sounds], NOTHING)
    mine = weights[sounds]
    share = (mine / np.maximum(mine.sum(axis=0), 1e-6)).T
    model = np.maximum(matmul(mine, matmul(share, heard)), NOTHING)
    trust = np.sqrt(model) * (power[sounds] > NOTHING)
    distance = (np.log(heard / model) * trust).sum(axis=1) / np.maximum(trust.sum(axis=1), 1e-12)
    whole = np.log(heard.sum(axis=1) / model.sum(axis=1))  # of one that sounds for a moment only
    distance = np.minimum(distance, whole + LOUDER) * (10 / np.log(10))
    fine[sounds] = np.clip(distance, LEAST_FINE, MOST_FINE)
    parts = mine.T @ np.exp2(fine[sounds] * np.float32(np.log2(10) / 10))
    levels = matmul(mine.T, power[sounds]) / np.maximum(parts, NOTHING)[:, None]
    return decibels(np.asarray(levels, dtype=np.float32)), fine
