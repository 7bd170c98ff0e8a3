"""What a network's answers have that no recording has is taken off the outlines of notes.

A little trembling of the pitch is none; partials are moved towards tune; nothing rises at the
key-up; rows that are never heard are silent. The thresholds are from training notes and from notes
of validation presets (docs/LOG.md, "Imagined instruments, second round").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.imagining.residual import LEVELS
from mechanical_ears.note import HOLD_SECONDS
from mechanical_ears.resynthesis.control_grid import ControlGrid, grid_noise_times, grid_times
from mechanical_ears.resynthesis.control_map import SILENCE_DB

STEADY: Final = 3.0  # cents of spread, below which a note does not move
IN_TUNE: Final = 4.0  # cents, below which a recorded partial is in tune
NEARLY_IN_TUNE: Final = 15.0  # cents, which a network's guess at how far it is off is worth less
BEFORE_KEY_UP: Final = 0.4  # s, whose loudest moment what is behind the key-up does not pass
NOISE_EARLY: Final = 0.3  # s before the key-up, from where that holds for noise
RELEASE_NOISE: Final = 2.0  # dB, by which noise may pass it
NEARLY_SILENT: Final = -110.0  # dB, a row that never passes it is silent


def settled(outlines: ControlGrid, *, recorded: bool = False) -> ControlGrid:
    """Outlines without the small unrest of a network's answers, the pitch in the middle.

    Partials of recordings are in tune, but for bells (in the middle 0 cents off, three quarters of
    notes below 6); those of a network are all off (in the middle 12, and no nearer to those of
    unseen instruments than 0 is). Its offsets therefore shrink, large ones hardly.

    Args:
        outlines: of n notes.
        recorded: whether they hold what recordings tell.
    """
    power = 10 ** (outlines.partials.astype(np.float64) / 10)
    weights = power.sum(axis=1) * np.gradient(grid_times())
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    cents = outlines.cents - (weights * outlines.cents).sum(axis=1, keepdims=True)
    moves = np.sqrt((weights * cents**2).sum(axis=1, keepdims=True)) >= STEADY
    off = np.abs(outlines.offsets)
    far = np.where(off >= IN_TUNE, off, 0) if recorded else np.maximum(off - NEARLY_IN_TUNE, 0)
    offsets = np.copysign(far, outlines.offsets)
    offsets[:, 0] = 0
    quiet = {}
    for name in LEVELS:
        rows = getattr(outlines, name)
        rows = rows if recorded else _released(name, rows)
        audible = rows.max(axis=2, keepdims=True) > NEARLY_SILENT
        quiet[name] = np.where(audible, rows, np.float32(SILENCE_DB)).astype(np.float32)
    return replace(
        outlines,
        **quiet,
        cents=np.where(moves, cents, 0).astype(np.float32),
        offsets=offsets.astype(np.float32),
        stiffness=np.minimum(outlines.stiffness, -1.0).astype(np.float32),
        ratios=np.maximum(outlines.ratios, 0).astype(np.float32),
    )


def _released(name: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels that do not rise at the key-up.

    Those of recordings do not (0.2 dB in one note of a hundred); a network's do, and thump (3 dB in
    one of ten, 10 dB in one of a hundred). The frames of the noise are 0.1 s apart, so that its
    rise begins before.
    """
    if name == "noise":
        times, key_up, most = grid_noise_times(), HOLD_SECONDS - NOISE_EARLY, RELEASE_NOISE
    else:
        times, key_up, most = grid_times(), HOLD_SECONDS, 0.0
    after = times > key_up
    before = ~after & (times > key_up - BEFORE_KEY_UP)
    highest = rows[:, :, before].max(axis=2, keepdims=True) + np.float32(most)
    return np.where(after, np.minimum(rows, highest), rows)
