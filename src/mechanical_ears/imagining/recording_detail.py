"""The fine detail of a recording, added to the control grid of a note at any key.

A control grid is coarse: 96 frames, no phases. If there is a recording of the instrument nearby,
what its full control map has beyond its own grid (the beats, the first milliseconds, the phases)
is added to the grid, in the features y of `mechanical_ears.resynthesis.grid_features`:

    y(row, t) = y_grid(row, t) + w · (y_map(row, t) − y_grid of the map(row, t))

At the recorded key, where w = 1 and the grid is that of the recording, this is the map itself;
everywhere, times are those of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.imagining.residual import MAX_DIFFERENCE_DB
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.resynthesis.control_grid import (
    MIN_STIFFNESS,
    PARTIAL_ROWS,
    SLOT_EDGES,
    SLOTS,
    ControlGrid,
    grid_noise_times,
    grid_times,
    known_mask,
    to_control_grid,
)
from mechanical_ears.resynthesis.control_map import (
    GROUPS,
    MAX_FREQUENCY,
    MODES,
    ROWS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    frame_times,
)
from mechanical_ears.resynthesis.grid_features import (
    from_relative_levels,
    to_features,
    to_relative_levels,
)
from mechanical_ears.resynthesis.interpolation import interpolation

MIN_RELEASE_SECONDS: Final = 0.05  # after the key-up, from which a recording has a release
RELEASE_SECONDS: Final = NOTE_SECONDS - HOLD_SECONDS  # of the grid
MAX_ATTACK_SECONDS: Final = 1.0  # of a recording, that keep their times on the grid
MIN_AUDIBLE_DB: Final = -110.0  # a row that never exceeds it has no detail


@dataclass(frozen=True, eq=False)
class _Overlay:
    """A recording over a grid: the features of both, and the moments of the recording's frames.

    Attributes:
        recorded: the recording's control map.
        grid: a batch of one.
        weight: of the detail, 0..1.
    """

    recorded: ControlMap
    grid: ControlGrid
    weight: float

    @cached_property
    def has_release(self) -> bool:
        """Whether the recording has a release of its own."""
        return self.recorded.seconds - self.recorded.key_up >= MIN_RELEASE_SECONDS

    @cached_property
    def seconds(self) -> float:
        """Length of the result, s."""
        return self.recorded.seconds if self.has_release else self.recorded.key_up + RELEASE_SECONDS

    @cached_property
    def own(self) -> dict[str, NDArray[np.float32]]:
        """Features of the recording's own grid."""
        return to_features(to_control_grid(self.recorded))

    @cached_property
    def target(self) -> dict[str, NDArray[np.float32]]:
        """Features of the grid."""
        return to_features(self.grid)

    def moments(self, frames: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times of the result's frames on the grid, s, and the detail's weight in each."""
        recorded = self.recorded
        times = frame_times(self.seconds, recorded.key_up, frames)
        known_until = self.seconds if self.has_release else recorded.key_up
        attack = min(0.5 * min(recorded.key_up, HOLD_SECONDS), MAX_ATTACK_SECONDS)
        ends = (0.0, attack, recorded.key_up, recorded.key_up + RELEASE_SECONDS)
        on_grid = np.interp(times, ends, (0.0, attack, HOLD_SECONDS, NOTE_SECONDS))
        return np.asarray(on_grid), np.where(times <= known_until, self.weight, 0.0)

    def detail(
        self, levels: NDArray[np.float32], coarse: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What levels of the recording, dB, have beyond features of its grid, dB."""
        fine = to_relative_levels(levels, float(self.own["level"][0])) - coarse
        return np.clip(fine, -MAX_DIFFERENCE_DB, MAX_DIFFERENCE_DB)

    def levels(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Levels of the result, dB, of features."""
        return from_relative_levels(features.astype(np.float32), float(self.target["level"][0]))

    def add(
        self,
        name: str,
        recorded: NDArray[np.float16],
        grid: NDArray[np.float64],
        known: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """Levels, dB, of the field ``name``, with the detail of the recording.

        Args:
            name: of a field of the grid.
            recorded: the map's rows, dB.
            grid: times of the grid's frames, s.
            known: bool (rows,), those that the recording's sample rate contains.
        """
        moments, weights = self.moments(recorded.shape[1])
        coarse = _interpolate(grid, self.own[name][0], moments)
        detail = self.detail(recorded.astype(np.float32), coarse) * weights * known[:, None]
        return self.levels(_interpolate(grid, self.target[name][0], moments) + detail)


def add_detail(grid: ControlGrid, recorded: ControlMap, weight: float, seed: int) -> ControlMap:
    """The control map of a grid, with the fine detail of a recording.

    Args:
        grid: a batch of one.
        recorded: control map of a recording; its divisor is 1.
        weight: of the detail, 0..1.
        seed: of the phases that the recording does not have.
    """
    overlay = _Overlay(recorded, grid, weight)
    frames = len(recorded.cents)
    known_rows, known_bands = known_mask(recorded)
    partials = np.full((ROWS, frames), SILENCE_DB, dtype=np.float32)
    singles = recorded.partials[: SINGLES + GROUPS]
    partials[:PARTIAL_ROWS] = overlay.add("partials", singles, grid_times(), known_rows)
    noise = overlay.add("noise", recorded.noise, grid_noise_times(), known_bands)
    modes, ratios, sources = _modes(overlay, frames)
    partials[PARTIAL_ROWS:] = modes
    moments, weights = overlay.moments(frames)
    cents = np.interp(moments, grid_times(), grid.cents[0])
    if recorded.cents.any():
        own_cents = np.interp(moments, grid_times(), overlay.own["cents"][0])
        cents += (recorded.cents.astype(np.float64) - own_cents) * weights
    stiffness = float(grid.stiffness[0])
    return replace(
        recorded,
        inharmonicity=10.0**stiffness if stiffness > np.log10(MIN_STIFFNESS) + 0.5 else 0.0,
        seconds=overlay.seconds,
        sample_rate=round(2.2 * MAX_FREQUENCY),
        onset=0.0,
        cents=cents.astype(np.float16),
        partials=partials.astype(np.float16),
        phases=_phases(recorded, sources, seed),
        noise=np.maximum(noise, SILENCE_DB).astype(np.float16),
        offsets=grid.offsets[0].astype(np.float16),
        fine=grid.fine[0].astype(np.float16),
        modes=ratios,
    )


def _interpolate(
    grid: NDArray[np.float64], rows: NDArray[np.float32], moments: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows (…, frames of the grid) at other moments, (…, moments)."""
    return interpolation(grid, moments, np.float64)(rows)


def _modes(
    overlay: _Overlay, frames: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Free modes: levels (8, frames), dB, ratios (8,), and the recording's mode of each, −1: none.

    Each slot of the grid gets the recording's own modes in its range of ratios, moved by the
    difference of the two grids; a slot in which the recording has none is that of the grid.
    """
    recorded = overlay.recorded
    moments, weights = overlay.moments(frames)
    modes: list[tuple[float, NDArray[np.float32], float, int]] = []
    levels = recorded.partials[ROWS - MODES :].astype(np.float32)
    ratios = recorded.modes.astype(np.float64)
    for slot in range(SLOTS):
        target = _interpolate(grid_times(), overlay.target["slots"][0, slot], moments)
        coarse = _interpolate(grid_times(), overlay.own["slots"][0, slot], moments)
        inside = np.flatnonzero((ratios > SLOT_EDGES[slot]) & (ratios <= SLOT_EDGES[slot + 1]))
        for mode in inside:
            row = overlay.levels(target + overlay.detail(levels[mode], coarse) * weights)
            modes.append((float(row.max()), row, float(ratios[mode]), int(mode)))
        if not len(inside):
            row = overlay.levels(target)
            modes.append((float(row.max()), row, float(overlay.grid.ratios[0, slot]), -1))
    modes = sorted(modes, key=lambda each: -each[0])[:MODES]
    rows = np.full((MODES, frames), SILENCE_DB, dtype=np.float32)
    new_ratios = np.zeros(MODES, dtype=np.float32)
    sources = np.full(MODES, -1, dtype=np.int64)
    for number, (loudest, row, ratio, source) in enumerate(modes):
        if loudest > MIN_AUDIBLE_DB:
            rows[number], new_ratios[number], sources[number] = row, ratio, source
    return rows, new_ratios, sources


def _phases(recorded: ControlMap, sources: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """The recording's phases of partials and modes (56, frames); random where it has none."""
    frames = len(recorded.cents)
    random = np.random.default_rng(seed).integers(0, 256, (SINGLES + MODES, 1)).astype(np.uint8)
    phases = np.repeat(random, frames, axis=1).view(np.int8)
    audible = recorded.partials[:SINGLES].max(axis=1) > MIN_AUDIBLE_DB
    phases[:SINGLES][audible] = recorded.phases[:SINGLES][audible]
    modes = np.flatnonzero(sources >= 0)
    phases[SINGLES + modes] = recorded.phases[SINGLES + sources[modes]]
    return phases
