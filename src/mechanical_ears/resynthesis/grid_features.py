"""Features of control grids: the numbers in which grids are compared, averaged and learned.

Levels v, dB, are taken relative to the loudest moment L of their note and get a soft floor, so that
it does not matter how silent silence is; ratios become logarithms:

    y = 20 log10(10^((v − L) / 20) + ε)        ε: −80 dB
    y = log2(ratio)

Everything else stays in its unit, limited to a range. `to_features` and `from_features` are the
NumPy pair; `mechanical_ears.imagining.training.latents` has its twin in PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid
from mechanical_ears.resynthesis.control_map import SILENCE_DB
from mechanical_ears.resynthesis.decibels import SILENCE_POWER

FLOOR_DEPTH_DB: Final = 80.0  # of the soft floor, below the loudest moment
LEVEL_FIELDS: Final = ("partials", "slots", "noise")  # the fields of a grid in dB, with silence
MAX_OFFSET_CENTS: Final = 200.0  # of a partial
SILENT_FINE_DB: Final = -59.0  # fine structure of a partial that never sounds
FINE_RANGE_DB: Final = (-25.0, 12.0)  # fine structure of a partial that sounds
_FLOOR_AMPLITUDE: Final = 10 ** (-FLOOR_DEPTH_DB / 20)


@dataclass(frozen=True)
class FeatureLimits:
    """Where features end.

    Attributes:
        ratios: lowest and highest ratio of a slot to the pitch.
        cents: of a moving pitch.
        level: dB above the loudest moment, of a level that features are turned back to.
        silence: share of the soft floor, below which a level is turned back to silence.
    """

    ratios: tuple[float, float]
    cents: float
    level: float
    silence: float


RESIDUAL_LIMITS: Final = FeatureLimits((1e-3, np.inf), np.inf, 40.0, 0.2)  # of differences
LATENT_LIMITS: Final = FeatureLimits((0.1, 40.0), 60.0, 20.0, 0.0)  # of what networks learn


def to_features(
    grid: ControlGrid, limits: FeatureLimits = RESIDUAL_LIMITS
) -> dict[str, NDArray[np.float32]]:
    """Features of n notes.

    Returns:
        Arrays by the names of the grid's fields, of the same shapes, and ``level``, float32 (n,),
        dB of the loudest moment.
    """
    level = peak_level(grid)
    features = {name: getattr(grid, name) for name in GRID_SHAPES}
    for name in LEVEL_FIELDS:
        features[name] = to_relative_levels(features[name], level[:, None, None])
    fine = features["fine"]
    features["fine"] = np.where(fine <= SILENT_FINE_DB, 0, np.clip(fine, *FINE_RANGE_DB))
    features["cents"] = np.clip(features["cents"], -limits.cents, limits.cents)
    features["offsets"] = np.clip(features["offsets"], -MAX_OFFSET_CENTS, MAX_OFFSET_CENTS)
    features["ratios"] = np.log2(np.clip(features["ratios"], *limits.ratios))
    features["level"] = level
    return {name: np.asarray(values, dtype=np.float32) for name, values in features.items()}


def from_features(
    features: Mapping[str, NDArray[np.float32]], limits: FeatureLimits = RESIDUAL_LIMITS
) -> ControlGrid:
    """The grid of features: the inverse of `to_features` within the limits."""
    fields = {name: features[name] for name in GRID_SHAPES}
    for name in LEVEL_FIELDS:
        fields[name] = from_relative_levels(fields[name], features["level"][:, None, None], limits)
    fields["ratios"] = 2 ** fields["ratios"]
    return ControlGrid(**{name: values.astype(np.float32) for name, values in fields.items()})


def peak_level(grid: ControlGrid) -> NDArray[np.float32]:
    """Level of the loudest moment of n notes, dB (n,): of all sines or of the noise."""
    sines = 10 ** (np.concatenate([grid.partials, grid.slots], axis=1) / 10)
    noise = 2 * (10 ** (grid.noise / 10)).sum(axis=1).max(axis=1)
    power = np.maximum(sines.sum(axis=1).max(axis=1), noise)
    return np.asarray(10 * np.log10(np.maximum(power, SILENCE_POWER)))


def to_relative_levels(
    levels: NDArray[np.float32], loudest: float | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Levels, dB, relative to the loudest moment, dB, and with the soft floor."""
    amplitude = 10 ** ((levels - loudest) / 20)
    return np.asarray(20 * np.log10(amplitude + _FLOOR_AMPLITUDE), dtype=np.float32)


def from_relative_levels(
    features: NDArray[np.float32],
    loudest: float | NDArray[np.float32],
    limits: FeatureLimits = RESIDUAL_LIMITS,
) -> NDArray[np.float32]:
    """The inverse of `to_relative_levels`, at least `SILENCE_DB`."""
    amplitude = 10 ** (np.minimum(features, limits.level) / 20) - _FLOOR_AMPLITUDE
    audible = amplitude > limits.silence * _FLOOR_AMPLITUDE
    levels = 20 * np.log10(np.where(audible, amplitude, 1)) + loudest
    return np.where(audible, np.maximum(levels, SILENCE_DB), SILENCE_DB).astype(np.float32)


def apply_gain(grid: ControlGrid, gain: float | NDArray[np.float64]) -> ControlGrid:
    """A grid with all levels moved by ``gain`` dB, or by (n,) dB; silence stays silent."""
    if not np.any(gain):
        return grid
    steps = np.broadcast_to(np.asarray(gain, np.float32), len(grid))[:, None, None]
    moved = {}
    for name in LEVEL_FIELDS:
        levels = getattr(grid, name)
        louder = np.maximum(levels + steps, SILENCE_DB)
        moved[name] = np.where(levels > SILENCE_DB, louder, np.float32(SILENCE_DB))
    return replace(grid, **moved)
