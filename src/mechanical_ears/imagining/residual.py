"""What recordings have beyond what is imagined of them, carried to the keys that were not recorded.

Outlines are compared by numbers y that make sense of a difference: levels are taken relative to the
loudest moment L of their note, and have a soft floor, so that it does not matter how silent silence
is; ratios are logarithms:

    y = 20 log10(10^((v − L) / 20) + ε)        ε: −80 dB

At a recorded key and velocity x_i = (p_i, v_i), the recording and the imagined instrument differ by
R_i = y_recorded − y_imagined. At others, y_imagined gets

    Σ_i w_i(x) R_i − (1 − c) Σ_i w_i(x) · (y_imagined(p, v) − y_imagined(p_n, v))

with w(x) = k(x)ᵀ (K + ν)⁻¹, K_ij = k(x_i, x_j), the mean of a Gaussian process (Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006), with the kernel

    k(x, y) = exp(−|p_x − p_y| / 80 − |v_x − v_y| / 90)

so that the recording itself sounds at its own key, and its character fades slowly over the others.
Of the step that is imagined from the nearest recorded key p_n to another, the share c is believed:
of an instrument that it never heard, the imagination knows less than half of how its keys differ.
All this was chosen on instruments on the validation side of the training fonts, on keys that they
play from different samples (26 pairs; ``benchmarks/like.py --validation``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.resynthesis import control_map_file as storage
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid
from mechanical_ears.resynthesis.control_map import SILENCE_DB, ControlMap

DEPTH: Final = 80.0  # dB below the loudest moment, where the soft floor lies
MOST: Final = 40.0  # dB, that are carried of a difference of levels
LEVELS: Final = ("partials", "slots", "noise")  # dB, with silence
OFFSETS: Final = 200.0  # cents, of a partial, at most
NEVER: Final = -59.0  # dB, fine structure of a partial that never sounds
FINE: Final = (-25.0, 12.0)  # dB, of one that does
FAINT: Final = 0.2  # of the soft floor, below which all is silent
STEP: Final = 0.4  # of the imagined step from a recorded key to another, that is believed
LEAST_DETAIL: Final = 0.5  # share of a detail, below which none is carried
DETAIL_LENGTH: Final = 8.0  # semitones, over which the detail of a recording fades
PITCH_LENGTH: Final = 80.0  # ℓ, semitones
VELOCITY_LENGTH: Final = 90.0  # MIDI velocities
NUGGET: Final = 1e-4  # ν: two takes of one note are averaged
FORMAT: Final = "mechanical-ears-carried"
VERSION: Final = "1"
_EPSILON: Final = 10 ** (-DEPTH / 20)


def kernel(
    pitches: NDArray[np.float64],
    velocities: NDArray[np.float64],
    other_pitches: NDArray[np.float64],
    other_velocities: NDArray[np.float64],
) -> NDArray[np.float64]:
    """How what is found at some notes holds at others, 0..1, float64 (notes, other notes)."""
    steps = np.abs(pitches[:, None] - other_pitches) / PITCH_LENGTH
    forces = np.abs(velocities[:, None] - other_velocities) / VELOCITY_LENGTH
    return np.asarray(np.exp(-steps - forces))


@dataclass(frozen=True, eq=False)
class Residual:
    """Differences at recorded notes.

    Attributes:
        pitches: MIDI numbers, float64 (n,).
        velocities: MIDI velocities, float64 (n,).
        groups: int64 (n,), which instrument each was recorded from: a morph has two.
        shares: float64 (n,), how much of it is carried, 1 but for morphs.
        differences: recorded less imagined, as `told` tells them, by name, float32 (n, …).
        maps: of the recordings, for their detail; as many as notes, or none.
    """

    pitches: NDArray[np.float64]
    velocities: NDArray[np.float64]
    groups: NDArray[np.int64]
    shares: NDArray[np.float64]
    differences: Mapping[str, NDArray[np.float32]]
    maps: tuple[ControlMap, ...] = ()

    def __len__(self) -> int:
        return len(self.pitches)

    def added_to(
        self, outlines: ControlGrid, pitches: ArrayLike, velocities: ArrayLike, beside: ControlGrid
    ) -> ControlGrid:
        """Imagined outlines with what was recorded.

        Args:
            outlines: imagined, of m notes.
            pitches: MIDI numbers (m,).
            velocities: MIDI velocities (m,).
            beside: imagined at the keys of `nearest_pitches`, of the same velocities.
        """
        keys, forces = np.asarray(pitches, np.float64), np.asarray(velocities, np.float64)
        sums = {}
        there = told(beside)
        weights = self.weights(keys, forces).astype(np.float32)
        for name, imagined in told(outlines).items():
            whole = weights.sum(axis=1).reshape(-1, *[1] * (imagined.ndim - 1))
            steps = (1 - STEP) * whole * (imagined - there[name])
            carried = np.tensordot(weights, self.differences[name], axes=1)
            sums[name] = (imagined + carried - steps).astype(np.float32)
        return untold(sums)

    def nearest_pitches(self, pitches: ArrayLike) -> NDArray[np.float64]:
        """The recorded keys that are nearest to others, MIDI numbers, float64 (m,)."""
        steps = np.abs(np.asarray(pitches, np.float64)[:, None] - self.pitches)
        return np.asarray(self.pitches[steps.argmin(axis=1)])

    def nearest(self, pitch: float, velocity: float) -> tuple[ControlMap, float] | None:
        """The map of the recording that is nearest to a note, and the weight of its detail."""
        if not self.maps:
            return None
        steps = np.abs(self.pitches - pitch) / DETAIL_LENGTH
        weights = self.shares * np.exp(
            -steps - np.abs(self.velocities - velocity) / VELOCITY_LENGTH
        )
        place = int(weights.argmax())
        found = self.maps[place]
        if found.divisor > 1 or weights[place] < LEAST_DETAIL:
            return None
        return found, float(min(weights[place], 1.0))

    def weights(
        self, pitches: NDArray[np.float64], velocities: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How much of each difference other notes get, float64 (m, n)."""
        weights = np.zeros((len(pitches), len(self)))
        for group in np.unique(self.groups):
            mine = self.groups == group
            own = self.pitches[mine], self.velocities[mine]
            between = kernel(*own, *own) + NUGGET * np.eye(int(mine.sum()))
            across = kernel(pitches, velocities, *own)
            weights[:, mine] = np.linalg.solve(between, across.T).T * self.shares[mine]
        return weights


def told(outlines: ControlGrid) -> dict[str, NDArray[np.float32]]:
    """Numbers by which outlines are compared, by name; beside their fields the level, dB (n,)."""
    power = 10 ** (np.concatenate([outlines.partials, outlines.slots], axis=1) / 10)
    hiss = 2 * (10 ** (outlines.noise / 10)).sum(axis=1).max(axis=1)
    loudest = np.maximum(power.sum(axis=1).max(axis=1), hiss)
    level = 10 * np.log10(np.maximum(loudest, 10 ** (SILENCE_DB / 10)))
    numbers = {name: getattr(outlines, name) for name in GRID_SHAPES}
    for name in LEVELS:
        numbers[name] = relative(numbers[name], level[:, None, None])
    fine = numbers["fine"]
    numbers["fine"] = np.where(fine <= NEVER, 0, np.clip(fine, *FINE))
    numbers["offsets"] = np.clip(numbers["offsets"], -OFFSETS, OFFSETS)
    numbers["ratios"] = np.log2(np.maximum(numbers["ratios"], 1e-3))
    numbers["level"] = level
    return {name: np.asarray(values, dtype=np.float32) for name, values in numbers.items()}


def untold(numbers: Mapping[str, NDArray[np.float32]]) -> ControlGrid:
    """Outlines from the numbers of `told`."""
    parts = {name: numbers[name] for name in GRID_SHAPES}
    for name in LEVELS:
        parts[name] = absolute(parts[name], numbers["level"][:, None, None])
    parts["ratios"] = 2 ** parts["ratios"]
    return ControlGrid(**{name: part.astype(np.float32) for name, part in parts.items()})


def relative(
    levels: NDArray[np.float32], loudest: float | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Levels, dB, relative to the loudest moment's and with the soft floor."""
    amplitude = 10 ** ((levels - loudest) / 20)
    return np.asarray(20 * np.log10(amplitude + _EPSILON), dtype=np.float32)


def absolute(
    numbers: NDArray[np.float32], loudest: float | NDArray[np.float32]
) -> NDArray[np.float32]:
    """The way back of `relative`."""
    amplitude = 10 ** (np.minimum(numbers, MOST) / 20) - _EPSILON
    heard = amplitude > FAINT * _EPSILON
    levels = 20 * np.log10(np.where(heard, amplitude, 1)) + loudest
    return np.where(heard, np.maximum(levels, SILENCE_DB), SILENCE_DB).astype(np.float32)


def differences(recorded: ControlGrid, imagined: ControlGrid) -> dict[str, NDArray[np.float32]]:
    """Recorded less imagined, in half precision, as they are kept."""
    ours, theirs = told(recorded), told(imagined)
    apart = {name: ours[name] - theirs[name] for name in ours}
    for name in LEVELS:
        apart[name] = np.clip(apart[name], -MOST, MOST)
    return halved(apart)


def halved(numbers: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """What is left of numbers in half precision."""
    return {name: each.astype(np.float16).astype(np.float32) for name, each in numbers.items()}


def mix_residuals(parts: Sequence[tuple[float, Residual | None]]) -> Residual | None:
    """What several instruments carry, each with its share; None for nothing."""
    chosen = [(share, each) for share, each in parts if each is not None and share != 0]
    if not chosen:
        return None
    groups, first = [], 0
    for _, each in chosen:
        groups.append(each.groups + first)
        first += int(each.groups.max()) + 1
    return Residual(
        pitches=np.concatenate([each.pitches for _, each in chosen]),
        velocities=np.concatenate([each.velocities for _, each in chosen]),
        groups=np.concatenate(groups),
        shares=np.concatenate([share * each.shares for share, each in chosen]),
        differences={
            name: np.concatenate([each.differences[name] for _, each in chosen])
            for name in chosen[0][1].differences
        },
        maps=_all_or_none([each for _, each in chosen]),
    )


def _all_or_none(several: Sequence[Residual]) -> tuple[ControlMap, ...]:
    if not all(each.maps for each in several):
        return ()
    return tuple(found for each in several for found in each.maps)


def to_bytes(carried: Residual) -> bytes:
    """As the bytes of a safetensors file."""
    arrays: dict[str, NDArray[np.float32]] = {
        name: np.asarray(getattr(carried, name), dtype=np.float32)
        for name in ("pitches", "velocities", "groups", "shares")
    }
    halves = {name: each.astype(np.float16) for name, each in carried.differences.items()}
    maps = {
        f"map {place}": np.frombuffer(storage.to_bytes(found), dtype=np.int8)
        for place, found in enumerate(carried.maps)
    }
    return storage.write_tensors(
        {**arrays, **halves, **maps}, {"format": FORMAT, "version": VERSION}
    )


def from_bytes(data: bytes, path: str | Path | None = None) -> Residual:
    """From the bytes of a safetensors file.

    Raises:
        EarsError: the bytes are damaged, something else or of a newer version.
    """
    try:
        arrays, about = storage.read_tensors(data)
        if about.get("format") != FORMAT:
            raise ValueError("it is another file")
        if about.get("version") != VERSION:
            raise EarsError(
                f"is of version {about.get('version')}, this program reads {VERSION}",
                path=path,
                remedy="update mechanical-ears",
            )
        count = len(arrays["pitches"])
        parts = {}
        for name, shape in {**GRID_SHAPES, "level": ()}.items():
            parts[name] = arrays[name].astype(np.float32)
            if parts[name].shape != (count, *shape) or not np.isfinite(parts[name]).all():
                raise ValueError(f'"{name}" is not {count} times {shape} finite numbers')
        rows = [arrays[name].astype(np.float64) for name in ("pitches", "velocities", "shares")]
        groups = arrays["groups"].astype(np.int64)
        if any(row.shape != (count,) or not np.isfinite(row).all() for row in [*rows, groups]):
            raise ValueError("its notes are not told")
        kept = sum(name.startswith("map ") for name in arrays)
        if kept not in (0, count):
            raise ValueError(f"{kept} maps for {count} notes")
        maps = tuple(
            storage.from_bytes(arrays[f"map {place}"].tobytes(), path) for place in range(kept)
        )
    except storage.DAMAGE as error:
        raise EarsError(
            f"is not what an instrument carries, or damaged ({error})",
            path=path,
            remedy="imagine it again from its recordings",
        ) from error
    pitches, velocities, shares = rows
    return Residual(pitches, velocities, groups, shares, parts, maps)


def louder(outlines: ControlGrid, gain: float | NDArray[np.float64]) -> ControlGrid:
    """Outlines with all levels moved by ``gain`` dB, or by (n,) dB; silence stays silent."""
    if not np.any(gain):
        return outlines
    steps = np.broadcast_to(np.asarray(gain, np.float32), len(outlines))[:, None, None]
    moved = {
        name: np.where(
            getattr(outlines, name) > SILENCE_DB,
            np.maximum(getattr(outlines, name) + steps, SILENCE_DB),
            np.float32(SILENCE_DB),
        )
        for name in LEVELS
    }
    return replace(outlines, **moved)
