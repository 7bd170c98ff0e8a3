"""The fine detail of a recording, on an outline that was made for another key.

An outline is coarse: 96 frames, no phases. Where there is a recording of the instrument, what its
full map has beyond its own outline, the beats, the first milliseconds, the phases, is laid over
the outline of any key, in the numbers y of ``carried.py``:

    y(row, t) = y_wanted(row, t) + w · (y_map(row, t) − y_outline of the map(row, t))

At the recorded key, where w = 1 and the outline wanted is that of the recording, this is the map
itself; everywhere, times are those of the recording.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.imagining.residual import MOST, absolute, relative, told
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
    NOISE_FRAMES,
    ROWS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    frame_times,
)
from mechanical_ears.resynthesis.interpolation import interpolation

RELEASED: Final = 0.05  # s after the key-up, from which a recording tells its release
FREE: Final = NOTE_SECONDS - HOLD_SECONDS  # s, of a release that it does not tell
HEARD: Final = -110.0  # dB, a row that never passes it has no detail


def detailed(wanted: ControlGrid, recorded: ControlMap, weight: float, seed: int) -> ControlMap:
    """The map of an outline, with the detail of a recording.

    Args:
        wanted: a batch of one.
        recorded: the map of a recording; its divisor is 1.
        weight: of the detail, 0..1.
        seed: of the phases that the recording does not tell.
    """
    released = recorded.seconds - recorded.key_up >= RELEASED
    seconds = recorded.seconds if released else recorded.key_up + FREE
    frames = len(recorded.cents)
    times = frame_times(seconds, recorded.key_up, frames)
    noise_times = frame_times(seconds, recorded.key_up, NOISE_FRAMES)
    own, goal = told(to_control_grid(recorded)), told(wanted)
    at = _grid_times(recorded, times)
    noise_at = _grid_times(recorded, noise_times)
    level, goal_level = float(own["level"][0]), float(goal["level"][0])
    told_until = seconds if released else recorded.key_up
    shares = np.where(times <= told_until, weight, 0.0)
    noise_shares = np.where(noise_times <= told_until, weight, 0.0)
    rows_known, bands_known = known_mask(recorded)

    def laid(
        name: str,
        full: NDArray[np.float16],
        grid: NDArray[np.float64],
        moments: NDArray[np.float64],
        share: NDArray[np.float64],
        sure: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        coarse = _between(grid, own[name][0], moments)
        rest = relative(full.astype(np.float32), level) - coarse
        rest = np.clip(rest, -MOST, MOST) * share * sure[:, None]
        numbers = _between(grid, goal[name][0], moments) + rest
        return absolute(numbers.astype(np.float32), goal_level)

    partials = np.full((ROWS, frames), SILENCE_DB, dtype=np.float32)
    partials[:PARTIAL_ROWS] = laid(
        "partials",
        recorded.partials[: SINGLES + GROUPS],
        grid_times(),
        at,
        shares,
        rows_known,
    )
    noise = laid("noise", recorded.noise, grid_noise_times(), noise_at, noise_shares, bands_known)
    modes, ratios, places = _modes(recorded, own, goal, at, shares, wanted)
    partials[PARTIAL_ROWS:] = modes
    cents = np.interp(at, grid_times(), wanted.cents[0])
    if recorded.cents.any():
        own_cents = np.interp(at, grid_times(), own["cents"][0])
        cents += (recorded.cents.astype(np.float64) - own_cents) * shares
    phases = _phases(recorded, places, seed)
    stiffness = float(wanted.stiffness[0])
    return replace(
        recorded,
        inharmonicity=10.0**stiffness if stiffness > np.log10(MIN_STIFFNESS) + 0.5 else 0.0,
        seconds=seconds,
        sample_rate=round(2.2 * MAX_FREQUENCY),
        onset=0.0,
        cents=cents.astype(np.float16),
        partials=partials.astype(np.float16),
        phases=phases,
        noise=np.maximum(noise, SILENCE_DB).astype(np.float16),
        offsets=wanted.offsets[0].astype(np.float16),
        fine=wanted.fine[0].astype(np.float16),
        modes=ratios,
    )


def _grid_times(recorded: ControlMap, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where moments of a recording lie on the outlines' grid, s: the way back of its places."""
    attack = min(0.5 * min(recorded.key_up, HOLD_SECONDS), 1.0)
    ends = (0.0, attack, recorded.key_up, recorded.key_up + FREE)
    return np.asarray(np.interp(times, ends, (0.0, attack, HOLD_SECONDS, NOTE_SECONDS)))


def _between(
    grid: NDArray[np.float64], rows: NDArray[np.float32], moments: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows (…, frames of the grid) at other moments, (…, moments)."""
    return interpolation(grid, moments, np.float64)(rows)


def _modes(
    recorded: ControlMap,
    own: dict[str, NDArray[np.float32]],
    goal: dict[str, NDArray[np.float32]],
    at: NDArray[np.float64],
    shares: NDArray[np.float64],
    wanted: ControlGrid,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Free modes (8, frames), their ratios (8,), and which of the recording each is, −1 for none.

    Each slot gets the recording's own modes within it, as much louder as is wanted; where it has
    none, what is wanted stands alone.
    """
    frames = len(at)
    level, goal_level = float(own["level"][0]), float(goal["level"][0])
    found: list[tuple[float, NDArray[np.float32], float, int]] = []
    full = recorded.partials[ROWS - MODES :].astype(np.float32)
    ratios = recorded.modes.astype(np.float64)
    for slot in range(SLOTS):
        goal_row = _between(grid_times(), goal["slots"][0, slot], at)
        own_row = _between(grid_times(), own["slots"][0, slot], at)
        inside = np.flatnonzero((ratios > SLOT_EDGES[slot]) & (ratios <= SLOT_EDGES[slot + 1]))
        for place in inside:
            rest = np.clip(relative(full[place], level) - own_row, -MOST, MOST) * shares
            row = absolute((goal_row + rest).astype(np.float32), goal_level)
            found.append((float(row.max()), row, float(ratios[place]), int(place)))
        if not len(inside):
            row = absolute(goal_row.astype(np.float32), goal_level)
            found.append((float(row.max()), row, float(wanted.ratios[0, slot]), -1))
    found = sorted(found, key=lambda each: -each[0])[:MODES]
    rows = np.full((MODES, frames), SILENCE_DB, dtype=np.float32)
    told_ratios = np.zeros(MODES, dtype=np.float32)
    places = np.full(MODES, -1, dtype=np.int64)
    for number, (loudest, row, ratio, own_place) in enumerate(found):
        if loudest > HEARD:
            rows[number], told_ratios[number], places[number] = row, ratio, own_place
    return rows, told_ratios, places


def _phases(recorded: ControlMap, places: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """The recording's phases of partials and modes (56, frames); by lot where it has none."""
    frames = len(recorded.cents)
    lots = np.random.default_rng(seed).integers(0, 256, (SINGLES + MODES, 1)).astype(np.uint8)
    phases = np.repeat(lots, frames, axis=1).view(np.int8)
    heard = recorded.partials.max(axis=1) > HEARD
    phases[:SINGLES][heard[:SINGLES]] = recorded.phases[:SINGLES][heard[:SINGLES]]
    free = np.flatnonzero(places >= 0)
    phases[SINGLES + free] = recorded.phases[SINGLES + places[free]]
    return phases
