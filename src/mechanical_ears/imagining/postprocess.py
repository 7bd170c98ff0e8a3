"""Clean-up of generated control grids: what no recording has is removed.

A small unrest of the pitch becomes none; partials move towards their tuned frequencies; nothing
rises at the key-up; rows that are never audible are silent. The thresholds are from training notes
and from notes of validation presets (docs/LOG.md, "Imagined instruments, second round").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.note import HOLD_SECONDS
from mechanical_ears.resynthesis.control_grid import ControlGrid, grid_noise_times, grid_times
from mechanical_ears.resynthesis.control_map import SILENCE_DB
from mechanical_ears.resynthesis.grid_features import LEVEL_FIELDS

MIN_MOVEMENT_CENTS: Final = 3.0  # standard deviation, below which a note's pitch does not move
IN_TUNE_CENTS: Final = 4.0  # below which a recorded partial is in tune
OFFSET_SHRINKAGE_CENTS: Final = 15.0  # by which a generated partial's offset shrinks
PEAK_SECONDS: Final = 0.4  # before the key-up, whose maximum is not exceeded after it
NOISE_LEAD_SECONDS: Final = 0.3  # before the key-up, from when this holds for noise
MAX_NOISE_RISE_DB: Final = 2.0  # by which noise may exceed it
MIN_AUDIBLE_DB: Final = -110.0  # a row that never exceeds it is silent
MAX_LOG_STIFFNESS: Final = -1.0  # log10 of the inharmonicity B


def clean_grid(grid: ControlGrid, *, recorded: bool = False) -> ControlGrid:
    """A control grid without the small errors of a network, its mean pitch at 0 cents.

    Partials of recordings are in tune, except in bells (median 0 cents off, three quarters of
    notes below 6); those of a network are all off (median 12, and no nearer to those of unseen
    instruments than 0 is). Its offsets therefore shrink, large ones relatively little.

    Args:
        grid: of n notes.
        recorded: whether recordings were added to it, whose tuning and release are kept.
    """
    power = 10 ** (grid.partials.astype(np.float64) / 10)
    weights = power.sum(axis=1) * np.gradient(grid_times())
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    cents = grid.cents - (weights * grid.cents).sum(axis=1, keepdims=True)
    moves = np.sqrt((weights * cents**2).sum(axis=1, keepdims=True)) >= MIN_MOVEMENT_CENTS
    size = np.abs(grid.offsets)
    if recorded:
        size = np.where(size >= IN_TUNE_CENTS, size, 0)
    else:
        size = np.maximum(size - OFFSET_SHRINKAGE_CENTS, 0)
    offsets = np.copysign(size, grid.offsets)
    offsets[:, 0] = 0
    levels = {}
    for name in LEVEL_FIELDS:
        rows = getattr(grid, name)
        rows = rows if recorded else _limit_release(name, rows)
        audible = rows.max(axis=2, keepdims=True) > MIN_AUDIBLE_DB
        levels[name] = np.where(audible, rows, np.float32(SILENCE_DB)).astype(np.float32)
    return replace(
        grid,
        **levels,
        cents=np.where(moves, cents, 0).astype(np.float32),
        offsets=offsets.astype(np.float32),
        stiffness=np.minimum(grid.stiffness, MAX_LOG_STIFFNESS).astype(np.float32),
        ratios=np.maximum(grid.ratios, 0).astype(np.float32),
    )


def _limit_release(name: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels (n, rows, frames), dB, that do not rise at the key-up.

    Those of recordings do not (0.2 dB in one note of a hundred); a network's do, and thump (3 dB in
    one of ten, 10 dB in one of a hundred). The frames of the noise are 0.1 s apart, so that its
    rise begins earlier.
    """
    times, key_up, rise = grid_times(), HOLD_SECONDS, 0.0
    if name == "noise":
        times, key_up = grid_noise_times(), HOLD_SECONDS - NOISE_LEAD_SECONDS
        rise = MAX_NOISE_RISE_DB
    after = times > key_up
    before = ~after & (times > key_up - PEAK_SECONDS)
    highest = rows[:, :, before].max(axis=2, keepdims=True) + np.float32(rise)
    return np.where(after, np.minimum(rows, highest), rows)
