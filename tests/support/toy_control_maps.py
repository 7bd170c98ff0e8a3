"""Control maps and control grids for tests."""

import dataclasses

import numpy as np

from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    MODES,
    NOISE_FRAMES,
    PARTIALS,
    ROWS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
)
from mechanical_ears.resynthesis.grid_features import LEVEL_FIELDS


def make_control_map(
    frequency=220.0, levels=(-20.0, -30.0, -40.0), frames=FRAME_COUNTS[0], **changes
):
    """A map with constant partials and no noise, 4 s long, with the key-up at 3 s.

    Args:
        frequency: Hz.
        levels: dB, of the first partials.
        frames: of the partials.
        changes: other fields of the map.
    """
    partials = np.full((ROWS, frames), SILENCE_DB, dtype=np.float16)
    partials[: len(levels)] = np.array(levels)[:, None]
    control_map = ControlMap(
        frequency=frequency,
        inharmonicity=0.0,
        divisor=1,
        seconds=4.0,
        key_up=3.0,
        sample_rate=16_000,
        onset=0.0,
        cents=np.zeros(frames, dtype=np.float16),
        partials=partials,
        phases=np.zeros((SINGLES + MODES, frames), dtype=np.int8),
        noise=np.full((BANDS, NOISE_FRAMES), SILENCE_DB, dtype=np.float16),
        offsets=np.zeros(SINGLES, dtype=np.float16),
        fine=np.zeros(PARTIALS - SINGLES, dtype=np.float16),
        modes=np.zeros(MODES, dtype=np.float32),
    )
    return dataclasses.replace(control_map, **changes)


def random_grid(count, level=-50.0, seed=0):
    """A control grid of ``count`` notes: levels around ``level`` dB, all else around 0."""
    rng = np.random.default_rng(seed)
    fields = {}
    for name, shape in GRID_SHAPES.items():
        values = rng.standard_normal((count, *shape)).astype(np.float32)
        fields[name] = values + (level if name in LEVEL_FIELDS else 0)
    return ControlGrid(**fields)
