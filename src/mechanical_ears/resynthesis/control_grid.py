"""Control grids: control maps on one grid that all notes share, for networks to learn.

A `ControlMap` has as many frames as its note needs, phases, and partials that may be multiples of a
fraction of its pitch. A grid has none of that: 96 frames of the partials and 48 of the noise over
4 s with the key-up at 3 s, whatever the recording; partial m is the m-th multiple of the pitch; and
what is elsewhere, the modes of a bell and the odd halves of an organ's 16-foot stop, is in eight
slots, each for a range of ratios to the pitch and for the strongest in it. Where a map has more
frames, a grid has the mean power between the midpoints of its own frames.

Partials and noise above half the sample rate of a recording are unknown: `known_mask` marks them
and `fill_unknown` extrapolates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.resynthesis import control_map as layout
from mechanical_ears.resynthesis.control_map import ControlMap, ControlMapError
from mechanical_ears.resynthesis.decibels import SILENCE_POWER, power_to_db
from mechanical_ears.resynthesis.interpolation import interpolation

PARTIAL_ROWS: Final = layout.SINGLES + layout.GROUPS
GRID_FRAMES: Final = 96  # of partials and slots
GRID_NOISE_FRAMES: Final = 48
SLOTS: Final = layout.MODES
SLOT_EDGES: Final = (0.0, 0.4, 0.8, 2.0, 3.0, 4.5, 7.0, 12.0, np.inf)  # ratios to the pitch
SLOT_CENTRES: Final = (0.25, 0.5, 1.5, 2.5, 3.5, 5.5, 9.0, 15.0)  # ratios, of empty slots
MIN_STIFFNESS: Final = 1e-7  # B, that an ideal string has in a grid
IDEAL_STIFFNESS: Final = -6.5  # log10 of B, up to which a string is ideal
SLOPE_ROWS: Final = 12  # known rows whose slope is extrapolated
DEFAULT_SLOPE: Final = -12.0  # dB per octave, where too few are known
SLOPE_RANGE: Final = (-30.0, -3.0)  # dB per octave
MAX_LATE: Final = 0.05  # s after the end of a map, from where a grid is silent


@dataclass(frozen=True, eq=False)
class ControlGrid:
    """Control maps of n notes on one grid.

    Attributes:
        partials: dB, float32 (n, 64, 96); rows as in `ControlMap` without the modes.
        slots: dB, float32 (n, 8, 96).
        noise: dB, float32 (n, 40, 48).
        cents: float32 (n, 96), how far the note is above its pitch.
        fine: dB, float32 (n, 336), of the partials above those with rows of their own.
        offsets: cents, float32 (n, 48), of the first partials from the formula.
        stiffness: log10 of the inharmonicity B, float32 (n,), at least −7.
        ratios: float32 (n, 8), of the slots to the pitch.
    """

    partials: NDArray[np.float32]
    slots: NDArray[np.float32]
    noise: NDArray[np.float32]
    cents: NDArray[np.float32]
    fine: NDArray[np.float32]
    offsets: NDArray[np.float32]
    stiffness: NDArray[np.float32]
    ratios: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.stiffness)

    def __getitem__(self, index: slice | NDArray[np.int64] | list[int]) -> ControlGrid:
        """Some of the notes."""
        return ControlGrid(**{name: getattr(self, name)[index] for name in GRID_SHAPES})


GRID_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "partials": (PARTIAL_ROWS, GRID_FRAMES),
    "slots": (SLOTS, GRID_FRAMES),
    "noise": (layout.BANDS, GRID_NOISE_FRAMES),
    "cents": (GRID_FRAMES,),
    "fine": (layout.PARTIALS - layout.SINGLES,),
    "offsets": (layout.SINGLES,),
    "stiffness": (),
    "ratios": (SLOTS,),
}


def concatenate_grids(grids: Sequence[ControlGrid]) -> ControlGrid:
    """Several grids as one batch."""
    columns = {name: [getattr(grid, name) for grid in grids] for name in GRID_SHAPES}
    return ControlGrid(**{name: np.concatenate(parts) for name, parts in columns.items()})


@cache
def grid_times() -> NDArray[np.float64]:
    """Times of the frames of the partials, s, float64 (96,)."""
    return layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, GRID_FRAMES)


@cache
def grid_noise_times() -> NDArray[np.float64]:
    """Times of the frames of the noise, s, float64 (48,)."""
    return layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, GRID_NOISE_FRAMES)


def to_control_grid(control_map: ControlMap) -> ControlGrid:
    """The grid of a map, a batch of one.

    Attack and release of a note held longer or shorter than 3 s are placed as they are, and the
    sustain between is stretched; behind its end the grid is silent.
    """
    times = _map_times(control_map, grid_times())
    rows = 10 ** (control_map.partials.astype(np.float64) / 10)
    power = _mean_power(control_map.times, rows, times, control_map.seconds)
    harmonics = _at_harmonics(control_map, power)
    partials = np.concatenate([harmonics.singles, power[layout.SINGLES : PARTIAL_ROWS]])
    fine = control_map.fine.astype(np.float32)
    if control_map.divisor > 1:  # the envelope runs over multiples of a fraction of the pitch
        partials[layout.SINGLES :] = SILENCE_POWER
        fine = np.zeros_like(fine)
    noise_rows = 10 ** (control_map.noise.astype(np.float64) / 10)
    noise_times = _map_times(control_map, grid_noise_times())
    noise = _mean_power(control_map.noise_times, noise_rows, noise_times, control_map.seconds)
    inside = np.clip(times, 0, control_map.seconds)
    cents = np.interp(inside, control_map.times, control_map.cents.astype(np.float64))
    stiffness = np.log10(max(control_map.inharmonicity, MIN_STIFFNESS))
    return ControlGrid(
        partials=power_to_db(partials)[None],
        slots=power_to_db(harmonics.slots)[None],
        noise=power_to_db(noise)[None],
        cents=cents.astype(np.float32)[None],
        fine=fine[None],
        offsets=harmonics.offsets.astype(np.float32)[None],
        stiffness=np.array([stiffness], dtype=np.float32),
        ratios=harmonics.ratios.astype(np.float32)[None],
    )


def known_mask(control_map: ControlMap) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which partials (64,) and bands of noise (40,) are below half the sample rate."""
    highest = min(0.98 * control_map.sample_rate / 2, layout.MAX_FREQUENCY)
    ratios = layout.stiff_string_ratios(_row_numbers(), control_map.inharmonicity)
    bands = layout.band_edges()[1:] <= max(highest, 0.49 * control_map.sample_rate)
    return control_map.frequency * ratios < highest, bands


def _row_numbers() -> NDArray[np.float64]:
    """Partial numbers of the rows of partials, float64 (64,)."""
    return np.concatenate([np.arange(1.0, layout.SINGLES + 1), layout.group_positions()])


def to_control_maps(
    grid: ControlGrid, pitches: NDArray[np.float64] | Sequence[float]
) -> list[ControlMap]:
    """The maps of a grid, each at a pitch.

    Args:
        grid: of n notes.
        pitches: MIDI numbers, (n,).

    Raises:
        ControlMapError: a number of pitches other than n, or values that no map can have.
    """
    if len(pitches) != len(grid):
        raise ControlMapError(f"{len(pitches)} pitches for {len(grid)} notes")
    times = layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, layout.FRAME_COUNTS[0])
    at_times = interpolation(grid_times(), times)
    noise_times = layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, layout.NOISE_FRAMES)
    rows = np.concatenate([grid.partials, grid.slots], axis=1)
    partials = np.maximum(at_times(rows), layout.SILENCE_DB)
    noise = interpolation(grid_noise_times(), noise_times)(grid.noise)
    noise = np.maximum(noise, layout.SILENCE_DB)
    cents = at_times(grid.cents)
    empty = np.asarray((grid.slots <= layout.SILENCE_DB).all(axis=2))
    stiffness = np.where(grid.stiffness > IDEAL_STIFFNESS, 10.0**grid.stiffness, 0.0)
    return [
        ControlMap(
            frequency=midi_to_hz(float(pitches[index])),
            inharmonicity=float(stiffness[index]),
            divisor=1,
            seconds=NOTE_SECONDS,
            key_up=HOLD_SECONDS,
            sample_rate=round(2.2 * layout.MAX_FREQUENCY),
            onset=0.0,
            cents=cents[index].astype(np.float16),
            partials=partials[index].astype(np.float16),
            phases=np.zeros((layout.SINGLES + layout.MODES, layout.FRAME_COUNTS[0]), dtype=np.int8),
            noise=noise[index].astype(np.float16),
            offsets=grid.offsets[index].astype(np.float16),
            fine=grid.fine[index].astype(np.float16),
            modes=np.where(empty[index], 0, grid.ratios[index]).astype(np.float32),
        )
        for index in range(len(grid))
    ]


def _map_times(control_map: ControlMap, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times in a map, s, of times in the grid: attack and release as they are."""
    held = min(control_map.key_up, HOLD_SECONDS)
    attack = min(0.5 * held, 1.0)
    grid_points = (0.0, attack, HOLD_SECONDS, NOTE_SECONDS)
    map_points = (0.0, attack, control_map.key_up, control_map.key_up + 1.0)
    return np.interp(times, grid_points, map_points)


def _mean_power(
    frames: NDArray[np.float64],
    power: NDArray[np.float64],
    times: NDArray[np.float64],
    seconds: float,
) -> NDArray[np.float64]:
    """Mean power from midpoint to midpoint around each time.

    Args:
        frames: s, float64 (frames,), of the map.
        power: float64 (rows, frames), linear between frames.
        times: s, float64 (times,), in the map.
        seconds: s, end of the map, behind which all is silent.

    Returns:
        float64 (rows, times).
    """
    midpoints = (times[1:] + times[:-1]) / 2
    edges = np.clip(np.concatenate([times[:1], midpoints, times[-1:]]), frames[0], frames[-1])
    steps = np.diff(frames) * (power[:, 1:] + power[:, :-1]) / 2
    integral = np.concatenate([np.zeros((len(power), 1)), np.cumsum(steps, axis=1)], axis=1)
    at_edges = interpolation(frames, edges, np.float64)
    value = at_edges(power)
    before = at_edges.before
    width = np.diff(frames)[before] * at_edges.fraction
    integral = integral[:, before] + width * (power[:, before] + value) / 2
    lengths = np.diff(edges)
    means = np.diff(integral, axis=1) / np.maximum(lengths, 1e-9)
    means = np.where(lengths > 1e-6, means, value[:, :-1])  # cells without length, at the ends
    means[:, times > seconds + MAX_LATE] = SILENCE_POWER
    return np.asarray(means)


@dataclass(frozen=True, eq=False)
class _Harmonics:
    """A map's partials as multiples of its pitch, and what is elsewhere.

    Attributes:
        singles: power, float64 (48, frames).
        offsets: cents, float64 (48,).
        slots: power, float64 (8, frames).
        ratios: float64 (8,), of the slots.
    """

    singles: NDArray[np.float64]
    offsets: NDArray[np.float64]
    slots: NDArray[np.float64]
    ratios: NDArray[np.float64]


def _at_harmonics(control_map: ControlMap, power: NDArray[np.float64]) -> _Harmonics:
    """Sort rows of power (72, frames) into multiples of the pitch and slots."""
    divisor, frames = control_map.divisor, power.shape[1]
    multiples = np.arange(divisor, layout.SINGLES + 1, divisor) - 1  # rows
    singles = np.full((layout.SINGLES, frames), SILENCE_POWER)
    singles[: len(multiples)] = power[multiples]
    offsets = np.zeros(layout.SINGLES)
    offsets[: len(multiples)] = control_map.offsets.astype(np.float64)[multiples]
    others = np.setdiff1d(np.r_[: layout.SINGLES, PARTIAL_ROWS : layout.ROWS], multiples)
    ratios = control_map.frequencies / control_map.frequency
    ratios = np.concatenate(
        [ratios[: layout.SINGLES], np.zeros(layout.GROUPS), ratios[layout.PARTIALS :]]
    )[others]
    strength = power[others].mean(axis=1)
    slots = np.full((SLOTS, frames), SILENCE_POWER)
    slot_ratios = np.array(SLOT_CENTRES)
    for slot in range(SLOTS):
        inside = (ratios > SLOT_EDGES[slot]) & (ratios <= SLOT_EDGES[slot + 1])
        if inside.any():
            best = np.flatnonzero(inside)[strength[inside].argmax()]
            slots[slot], slot_ratios[slot] = power[others[best]], ratios[best]
    return _Harmonics(singles, offsets, slots, slot_ratios)


def fill_unknown(
    grid: ControlGrid, known_partials: NDArray[np.bool_], known_bands: NDArray[np.bool_]
) -> ControlGrid:
    """Extrapolate the rows that are unknown.

    Rows behind the last known one continue from its level along the slope, in dB per octave, of the
    upper known rows: what a bright or dull instrument would likely do.

    Args:
        grid: of n notes.
        known_partials: bool (n, 64), from `known_mask`.
        known_bands: bool (n, 40).
    """
    partials, noise = grid.partials.copy(), grid.noise.copy()
    for index in range(len(grid)):
        _extrapolate(partials[index], known_partials[index], np.log2(_row_numbers()))
        _extrapolate(noise[index], known_bands[index], np.log2(layout.band_centres()))
    return replace(grid, partials=partials, noise=noise)


def _extrapolate(
    rows: NDArray[np.float32], known: NDArray[np.bool_], octaves: NDArray[np.float64]
) -> None:
    """Fill rows (rows, frames) behind the last known one, in place."""
    count = int(known.sum())  # the known ones come first
    if count in (0, len(rows)):
        return
    first = max(0, count - SLOPE_ROWS)
    means = np.maximum(rows[first:count].mean(axis=1), layout.SILENCE_DB)
    slope = DEFAULT_SLOPE
    if count - first > 2:
        centred = octaves[first:count] - octaves[first:count].mean()
        slope = float(centred @ (means - means.mean()) / (centred @ centred))
    slope = float(np.clip(slope, *SLOPE_RANGE))
    last = slice(max(0, count - 3), count)
    distance = (octaves[count:] - octaves[last].mean())[:, None] * np.float32(slope)
    rows[count:] = np.maximum(rows[last].mean(axis=0) + distance, layout.SILENCE_DB)
