"""Outlines: control maps on the one grid that all notes share, which is what a network can learn.

A `ControlMap` has as many frames as its note deserves, phases, and partials that are multiples of
a part of its pitch. An outline has none of that: 96 frames of the partials and 48 of the noise over
4 s with the key let go after 3, whatever the recording; partial m is the m-th multiple of the
pitch; and what lies elsewhere, the modes of a bell and the odd halves of an organ's 16-foot stop,
stands in eight slots, each for a range of ratios to the pitch and for the strongest in it. Where a
note has more frames, an outline holds the mean power between the middles of its own.

What a recording of a low rate cannot tell is marked: partials and noise above half its sample rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    GROUPS,
    MAX_FREQUENCY,
    MODES,
    NOISE_FRAMES,
    PARTIALS,
    ROWS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    ControlMapError,
    band_edges,
    frame_times,
    group_positions,
    stiff_string_ratios,
)

PARTIAL_ROWS: Final = SINGLES + GROUPS
GRID_FRAMES: Final = 96  # of partials and slots
GRID_NOISE_FRAMES: Final = 48
SLOTS: Final = MODES
SLOT_EDGES: Final = (0.0, 0.4, 0.8, 2.0, 3.0, 4.5, 7.0, 12.0, np.inf)  # ratios to the pitch
SLOT_CENTRES: Final = (0.25, 0.5, 1.5, 2.5, 3.5, 5.5, 9.0, 15.0)  # of those that are empty
MIN_STIFFNESS: Final = 1e-7  # B, of the stiffness that stands for an ideal string
STIFF: Final = -6.5  # log10 of B, above which a string is not taken for ideal
SLOPE_ROWS: Final = 12  # known rows whose slope unknown ones follow
USUAL_SLOPE: Final = -12.0  # dB an octave, where too few are known
SLOPES: Final = (-30.0, -3.0)  # dB an octave, at the outside
_POWER_OF_SILENCE: Final = 10 ** (SILENCE_DB / 10)


@dataclass(frozen=True, eq=False)
class ControlGrid:
    """Outlines of n notes.

    Attributes:
        partials: float32 (n, 64, 96), dB; rows as in `ControlMap` without the modes.
        slots: float32 (n, 8, 96), dB.
        noise: float32 (n, 40, 48), dB.
        cents: float32 (n, 96), how far the note lies above its pitch.
        fine: float32 (n, 336), dB, of the partials above those with rows of their own.
        offsets: float32 (n, 48), cents by which the first partials miss the formula.
        stiffness: float32 (n,), log10 of the inharmonicity B, at least −7.
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

    def __getitem__(self, which: slice | NDArray[np.int64] | list[int]) -> ControlGrid:
        """Some of the notes."""
        return ControlGrid(**{part.name: getattr(self, part.name)[which] for part in fields(self)})


GRID_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "partials": (PARTIAL_ROWS, GRID_FRAMES),
    "slots": (SLOTS, GRID_FRAMES),
    "noise": (BANDS, GRID_NOISE_FRAMES),
    "cents": (GRID_FRAMES,),
    "fine": (PARTIALS - SINGLES,),
    "offsets": (SINGLES,),
    "stiffness": (),
    "ratios": (SLOTS,),
}


def concatenate_grids(parts: Sequence[ControlGrid]) -> ControlGrid:
    """Several batches of outlines as one."""
    names = [part.name for part in fields(ControlGrid)]
    return ControlGrid(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    )


@cache
def grid_times() -> NDArray[np.float64]:
    """Where the frames of the partials stand, s, float64 (96,)."""
    return frame_times(NOTE_SECONDS, HOLD_SECONDS, GRID_FRAMES)


@cache
def grid_noise_times() -> NDArray[np.float64]:
    """Where the frames of the noise stand, s, float64 (48,)."""
    return frame_times(NOTE_SECONDS, HOLD_SECONDS, GRID_NOISE_FRAMES)


def to_control_grid(controls: ControlMap) -> ControlGrid:
    """The outline of a map, a batch of one.

    A note held longer or shorter than 3 s is laid onto the grid by its attack, what its key is held
    for, and its release; what the grid asks for behind its end is silent.
    """
    places = _places(controls, grid_times())
    rows = controls.partials.astype(np.float64)
    power = _means(controls.times, 10 ** (rows / 10), places, controls.seconds)
    singles, slots, ratios, offsets = _at_the_pitch(controls, power)
    partials = np.concatenate([singles, power[SINGLES : SINGLES + GROUPS]])
    noise_power = 10 ** (controls.noise.astype(np.float64) / 10)
    noise_places = _places(controls, grid_noise_times())
    noise = _means(controls.noise_times, noise_power, noise_places, controls.seconds)
    middles = np.clip(places, 0, controls.seconds)
    cents = np.interp(middles, controls.times, controls.cents.astype(np.float64))
    fine = controls.fine.astype(np.float32)
    if controls.divisor > 1:  # numbers run over parts of the pitch: their fine structure is lost
        partials[SINGLES:] = _POWER_OF_SILENCE
        fine = np.zeros_like(fine)
    stiffness = np.log10(max(controls.inharmonicity, MIN_STIFFNESS))
    return ControlGrid(
        partials=_decibels(partials)[None],
        slots=_decibels(slots)[None],
        noise=_decibels(noise)[None],
        cents=cents.astype(np.float32)[None],
        fine=fine[None],
        offsets=offsets.astype(np.float32)[None],
        stiffness=np.array([stiffness], dtype=np.float32),
        ratios=ratios.astype(np.float32)[None],
    )


def known_mask(controls: ControlMap) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which partials (64,) and bands of noise (40,) the recording's sample rate lets one know."""
    highest = min(0.98 * controls.sample_rate / 2, MAX_FREQUENCY)
    numbers = np.concatenate([np.arange(1.0, SINGLES + 1), group_positions()])
    places = controls.frequency * stiff_string_ratios(numbers, controls.inharmonicity)
    return places < highest, band_edges()[1:] <= max(highest, 0.49 * controls.sample_rate)


def to_control_maps(
    outlines: ControlGrid, pitches: NDArray[np.float64] | Sequence[float]
) -> list[ControlMap]:
    """The maps of outlines, each at a pitch.

    Args:
        outlines: of n notes.
        pitches: MIDI numbers, (n,), at which they sound.

    Raises:
        ControlsError: an outline holds what no map can.
    """
    times = frame_times(NOTE_SECONDS, HOLD_SECONDS, FRAME_COUNTS[0])
    noise_times = frame_times(NOTE_SECONDS, HOLD_SECONDS, NOISE_FRAMES)
    rows = np.concatenate([outlines.partials, outlines.slots], axis=1)
    partials = np.maximum(_between(grid_times(), rows, times), SILENCE_DB)
    noise = np.maximum(_between(grid_noise_times(), outlines.noise, noise_times), SILENCE_DB)
    cents = _between(grid_times(), outlines.cents, times)
    empty = np.asarray((outlines.slots <= SILENCE_DB).all(axis=2))
    stiffness = np.where(outlines.stiffness > STIFF, 10.0**outlines.stiffness, 0.0)
    if len(pitches) != len(outlines):
        raise ControlMapError(f"{len(pitches)} pitches for {len(outlines)} outlines")
    return [
        ControlMap(
            frequency=midi_to_hz(float(pitches[number])),
            inharmonicity=float(stiffness[number]),
            divisor=1,
            seconds=NOTE_SECONDS,
            key_up=HOLD_SECONDS,
            sample_rate=round(2.2 * MAX_FREQUENCY),
            onset=0.0,
            cents=cents[number].astype(np.float16),
            partials=partials[number].astype(np.float16),
            phases=np.zeros((SINGLES + MODES, FRAME_COUNTS[0]), dtype=np.int8),
            noise=noise[number].astype(np.float16),
            offsets=outlines.offsets[number].astype(np.float16),
            fine=outlines.fine[number].astype(np.float16),
            modes=np.where(empty[number], 0, outlines.ratios[number]).astype(np.float32),
        )
        for number in range(len(outlines))
    ]


def _places(controls: ControlMap, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where in a map the grid's moments lie, s: attack and release as they are, the hold bent."""
    held = min(controls.key_up, HOLD_SECONDS)
    attack = min(0.5 * held, 1.0)
    ends = (0.0, attack, HOLD_SECONDS, NOTE_SECONDS)
    return np.interp(times, ends, (0.0, attack, controls.key_up, controls.key_up + 1.0))


def _means(
    own: NDArray[np.float64],
    power: NDArray[np.float64],
    places: NDArray[np.float64],
    end: float,
) -> NDArray[np.float64]:
    """Mean powers (rows, places) around places, of rows (rows, frames) at moments ``own``."""
    middles = (places[1:] + places[:-1]) / 2
    edges = np.concatenate([[places[0]], middles, [places[-1]]])
    steps = np.diff(own) * (power[:, 1:] + power[:, :-1]) / 2
    summed = np.concatenate([np.zeros((len(power), 1)), np.cumsum(steps, axis=1)], axis=1)
    inside = np.clip(edges, own[0], own[-1])
    at = np.interp(inside, own, np.arange(len(own)))
    before = np.minimum(at.astype(np.int64), len(own) - 2)
    share = at - before
    width = own[before + 1] - own[before]
    first, second = power[:, before], power[:, before + 1]
    value = first + (second - first) * share
    sums = summed[:, before] + width * share * (first + value) / 2
    lengths = np.diff(inside)
    means = np.diff(sums, axis=1) / np.maximum(lengths, 1e-9)
    exact = value[:, :-1]  # a cell without length, at the ends
    means = np.where(lengths > 1e-6, means, exact)
    means[:, places > end + 0.05] = _POWER_OF_SILENCE
    return np.asarray(means)


def _at_the_pitch(
    controls: ControlMap, power: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Singles (48, frames), slots (8, frames), their ratios (8,), offsets (48,): divisor 1."""
    divisor = controls.divisor
    singles = np.full((SINGLES, power.shape[1]), _POWER_OF_SILENCE)
    offsets = np.zeros(SINGLES)
    own = controls.offsets.astype(np.float64)
    whole = np.arange(divisor, SINGLES + 1, divisor) - 1  # rows that are multiples of the pitch
    singles[: len(whole)] = power[whole]
    offsets[: len(whole)] = own[whole]
    ratios = controls.frequencies / controls.frequency
    elsewhere = np.setdiff1d(np.arange(SINGLES), whole)
    candidates = np.concatenate([elsewhere, np.arange(ROWS - MODES, ROWS)])
    if divisor == 1:
        candidates = np.arange(ROWS - MODES, ROWS)
    places = np.concatenate([ratios[:SINGLES], np.zeros(GROUPS), ratios[PARTIALS:]])[candidates]
    slots = np.full((SLOTS, power.shape[1]), _POWER_OF_SILENCE)
    found = np.array(SLOT_CENTRES)
    strength = power[candidates].mean(axis=1)
    for slot in range(SLOTS):
        mine = (places > SLOT_EDGES[slot]) & (places <= SLOT_EDGES[slot + 1])
        if mine.any():
            best = np.flatnonzero(mine)[strength[mine].argmax()]
            slots[slot], found[slot] = power[candidates[best]], places[best]
    return singles, slots, found, offsets


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(10 * np.log10(np.maximum(power, _POWER_OF_SILENCE)), dtype=np.float32)


def _between(
    own: NDArray[np.float64], rows: NDArray[np.float32], times: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Rows (…, frames) at other moments: (…, moments)."""
    at = np.interp(times, own, np.arange(len(own)))
    before = np.minimum(at.astype(np.int64), len(own) - 2)
    share = (at - before).astype(np.float32)
    return np.asarray(rows[..., before] * (1 - share) + rows[..., before + 1] * share)


def fill_unknown(
    outlines: ControlGrid, partials: NDArray[np.bool_], noise: NDArray[np.bool_]
) -> ControlGrid:
    """Outlines with what is not known drawn on from what is.

    Rows behind the last known one go on from its level along the slope, in dB an octave, that the
    upper known rows have between them: what a bright or dull instrument would likely do.

    Args:
        outlines: of n notes.
        partials: bool (n, 64), the rows that are known; see `known_mask`.
        noise: bool (n, 40), the bands that are.
    """
    numbers = np.log2(np.concatenate([np.arange(1.0, SINGLES + 1), group_positions()]))
    edges = band_edges()
    centres = np.log2((edges[1:] + edges[:-1]) / 2)
    drawn_partials, drawn_noise = outlines.partials.copy(), outlines.noise.copy()
    for number in range(len(outlines)):
        _draw_on(drawn_partials[number], partials[number], numbers)
        _draw_on(drawn_noise[number], noise[number], centres)
    return ControlGrid(
        **{
            **{part.name: getattr(outlines, part.name) for part in fields(outlines)},
            "partials": drawn_partials,
            "noise": drawn_noise,
        }
    )


def _draw_on(
    rows: NDArray[np.float32], known_rows: NDArray[np.bool_], octaves: NDArray[np.float64]
) -> None:
    """Fill rows (rows, frames) behind the last known one, in place."""
    count = int(known_rows.sum())  # the known ones come first
    if count in (0, len(rows)):
        return
    first = max(0, count - SLOPE_ROWS)
    means = np.maximum(rows[first:count].mean(axis=1), SILENCE_DB)
    slope = USUAL_SLOPE
    if count - first > 2:
        places = octaves[first:count] - octaves[first:count].mean()
        slope = float(places @ (means - means.mean()) / (places @ places))
    slope = float(np.clip(slope, *SLOPES))
    start = rows[max(0, count - 3) : count].mean(axis=0)
    middle = octaves[max(0, count - 3) : count].mean()
    further = (octaves[count:] - middle)[:, None] * np.float32(slope)
    rows[count:] = np.maximum(start + further, SILENCE_DB)
