"""The residual: what recordings have beyond the instrument imagined from them, on every key.

Grids are compared in the features y of `mechanical_ears.resynthesis.grid_features`. At a recorded
key and velocity x_i = (p_i, v_i), the recording and the imagined instrument differ by
R_i = y_recorded − y_imagined. At other keys and velocities, y_imagined gets

    Σ_i w_i(x) R_i − (1 − c) Σ_i w_i(x) · (y_imagined(p, v) − y_imagined(p_n, v))

with w(x) = k(x)ᵀ (K + ν)⁻¹, K_ij = k(x_i, x_j), the mean of a Gaussian process (Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006), with the kernel

    k(x, y) = exp(−|p_x − p_y| / 80 − |v_x − v_y| / 90)

so that the recording itself sounds at its own key, and its character fades slowly over the others.
Of the step that the model imagines from the nearest recorded key p_n to another key, only the share
c is believed: of an instrument that it was not trained on, the model knows less than half of how
its keys differ. All this was chosen on instruments on the validation side of the training fonts, on
keys that they play from different samples (26 pairs; ``benchmarks/like.py --validation``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears.errors import EarsError, check_version
from mechanical_ears.resynthesis import control_map_file as storage
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.grid_features import LEVEL_FIELDS, from_features, to_features

MAX_DIFFERENCE_DB: Final = 40.0  # that is kept of a difference of levels
BELIEVED_STEP: Final = 0.4  # c
PITCH_SCALE: Final = 80.0  # semitones, of the kernel
VELOCITY_SCALE: Final = 90.0  # MIDI velocities, of the kernel
NOISE_VARIANCE: Final = 1e-4  # ν: two recordings of one note are averaged
DETAIL_PITCH_SCALE: Final = 8.0  # semitones, over which the fine detail of a recording fades
MIN_DETAIL_WEIGHT: Final = 0.5  # below which a recording's fine detail is not used
FORMAT: Final = "mechanical-ears-carried"
VERSION: Final = "1"


def kernel(
    pitches: NDArray[np.float64],
    velocities: NDArray[np.float64],
    other_pitches: NDArray[np.float64],
    other_velocities: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Similarity k(x, y) of notes and other notes, 0..1, float64 (notes, other notes)."""
    intervals = np.abs(pitches[:, None] - other_pitches) / PITCH_SCALE
    steps = np.abs(velocities[:, None] - other_velocities) / VELOCITY_SCALE
    return np.asarray(np.exp(-intervals - steps))


@dataclass(frozen=True, eq=False)
class Residual:
    """Differences between recorded and imagined notes, at the recorded keys and velocities.

    Attributes:
        pitches: MIDI numbers, float64 (n,).
        velocities: MIDI velocities, float64 (n,).
        groups: int64 (n,), number of the instrument that each was recorded from: a morph has two.
        shares: float64 (n,), how much of each is added, 1 except in morphs.
        differences: features of the recording less those of the imagined note, by name,
            float32 (n, …).
        maps: the recordings' control maps, for their fine detail; one for each note, or none.
    """

    pitches: NDArray[np.float64]
    velocities: NDArray[np.float64]
    groups: NDArray[np.int64]
    shares: NDArray[np.float64]
    differences: Mapping[str, NDArray[np.float32]]
    maps: tuple[ControlMap, ...] = ()

    def __len__(self) -> int:
        return len(self.pitches)

    def add_to(
        self, grid: ControlGrid, pitches: ArrayLike, velocities: ArrayLike, at_nearest: ControlGrid
    ) -> ControlGrid:
        """The grid of imagined notes, with what was recorded added.

        Args:
            grid: of m imagined notes.
            pitches: their MIDI numbers (m,).
            velocities: their MIDI velocities (m,).
            at_nearest: grid of notes imagined at the keys of `nearest_pitches`, at the same
                velocities.
        """
        keys, forces = np.asarray(pitches, np.float64), np.asarray(velocities, np.float64)
        weights = self.weights(keys, forces).astype(np.float32)
        nearest = to_features(at_nearest)
        sums = {}
        for name, imagined in to_features(grid).items():
            total = weights.sum(axis=1).reshape(-1, *[1] * (imagined.ndim - 1))
            unbelieved = (1 - BELIEVED_STEP) * total * (imagined - nearest[name])
            added = np.tensordot(weights, self.differences[name], axes=1)
            sums[name] = (imagined + added - unbelieved).astype(np.float32)
        return from_features(sums)

    def nearest_pitches(self, pitches: ArrayLike) -> NDArray[np.float64]:
        """The recorded keys nearest to others (m,), MIDI numbers, float64 (m,)."""
        intervals = np.abs(np.asarray(pitches, np.float64)[:, None] - self.pitches)
        return np.asarray(self.pitches[intervals.argmin(axis=1)])

    def nearest_map(self, pitch: float, velocity: float) -> tuple[ControlMap, float] | None:
        """The control map of the recording nearest to a note, and the weight of its detail, 0..1.

        None if there are no maps, or the nearest is too far away.
        """
        if not self.maps:
            return None
        intervals = np.abs(self.pitches - pitch) / DETAIL_PITCH_SCALE
        steps = np.abs(self.velocities - velocity) / VELOCITY_SCALE
        weights = self.shares * np.exp(-intervals - steps)
        row = int(weights.argmax())
        nearest = self.maps[row]
        if nearest.divisor > 1 or weights[row] < MIN_DETAIL_WEIGHT:
            return None
        return nearest, float(min(weights[row], 1.0))

    def weights(
        self, pitches: NDArray[np.float64], velocities: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Weight of each recorded note at other notes, w(x) times its share, float64 (m, n)."""
        weights = np.zeros((len(pitches), len(self)))
        for group in np.unique(self.groups):
            members = self.groups == group
            recorded = self.pitches[members], self.velocities[members]
            among = kernel(*recorded, *recorded) + NOISE_VARIANCE * np.eye(int(members.sum()))
            across = kernel(pitches, velocities, *recorded)
            weights[:, members] = np.linalg.solve(among, across.T).T * self.shares[members]
        return weights


def grid_differences(
    recorded: ControlGrid, imagined: ControlGrid
) -> dict[str, NDArray[np.float32]]:
    """Features of recorded notes less those of imagined ones, rounded as they are stored."""
    minuend, subtrahend = to_features(recorded), to_features(imagined)
    difference = {name: minuend[name] - subtrahend[name] for name in minuend}
    for name in LEVEL_FIELDS:
        difference[name] = np.clip(difference[name], -MAX_DIFFERENCE_DB, MAX_DIFFERENCE_DB)
    return round_to_half(difference)


def round_to_half(features: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Features rounded to half precision, in which they are stored."""
    return {name: each.astype(np.float16).astype(np.float32) for name, each in features.items()}


def mix_residuals(parts: Sequence[tuple[float, Residual | None]]) -> Residual | None:
    """The residuals of several instruments, each with its share; None if nothing is left."""
    chosen = [(share, each) for share, each in parts if each is not None and share != 0]
    if not chosen:
        return None
    residuals = [each for _, each in chosen]
    groups, first = [], 0
    for each in residuals:
        groups.append(each.groups + first)
        first += int(each.groups.max()) + 1
    return Residual(
        pitches=np.concatenate([each.pitches for each in residuals]),
        velocities=np.concatenate([each.velocities for each in residuals]),
        groups=np.concatenate(groups),
        shares=np.concatenate([share * each.shares for share, each in chosen]),
        differences={
            name: np.concatenate([each.differences[name] for each in residuals])
            for name in residuals[0].differences
        },
        maps=sum((each.maps for each in residuals), ()) if all(r.maps for r in residuals) else (),
    )


def to_bytes(residual: Residual) -> bytes:
    """The residual as the bytes of a safetensors file."""
    arrays: dict[str, NDArray[np.float32]] = {
        name: np.asarray(getattr(residual, name), dtype=np.float32)
        for name in ("pitches", "velocities", "groups", "shares")
    }
    halves = {name: each.astype(np.float16) for name, each in residual.differences.items()}
    maps = {
        f"map {row}": np.frombuffer(storage.to_bytes(control_map), dtype=np.int8)
        for row, control_map in enumerate(residual.maps)
    }
    metadata = {"format": FORMAT, "version": VERSION}
    return storage.write_tensors({**arrays, **halves, **maps}, metadata)


def from_bytes(data: bytes, path: str | Path | None = None) -> Residual:
    """A residual from the bytes of a safetensors file.

    Args:
        data: the bytes.
        path: of the file, named in errors.

    Raises:
        EarsError: the bytes are damaged, something else or of a newer version.
    """
    try:
        arrays, metadata = storage.read_tensors(data)
        if metadata.get("format") != FORMAT:
            raise ValueError("it is another file")
        check_version(metadata.get("version"), VERSION, path)
        count = len(arrays["pitches"])
        differences = {}
        for name, shape in {**GRID_SHAPES, "level": ()}.items():
            differences[name] = arrays[name].astype(np.float32)
            if differences[name].shape != (count, *shape) or not _finite(differences[name]):
                raise ValueError(f'"{name}" is not {count} times {shape} finite numbers')
        rows = [arrays[name].astype(np.float64) for name in ("pitches", "velocities", "shares")]
        groups = arrays["groups"].astype(np.int64)
        if any(row.shape != (count,) or not _finite(row) for row in [*rows, groups]):
            raise ValueError(f"it does not describe {count} notes")
        map_count = sum(name.startswith("map ") for name in arrays)
        if map_count not in (0, count):
            raise ValueError(f"{map_count} maps for {count} notes")
        maps = tuple(
            storage.from_bytes(arrays[f"map {row}"].tobytes(), path) for row in range(map_count)
        )
    except storage.DAMAGE as error:
        problem = f"is not the residual of an instrument, or is damaged ({error})"
        remedy = "imagine it again from its recordings"
        raise EarsError(problem, path=path, remedy=remedy) from error
    pitches, velocities, shares = rows
    return Residual(pitches, velocities, groups, shares, differences, maps)


def _finite(values: NDArray[np.generic]) -> bool:
    return bool(np.isfinite(values).all())
