"""The map: positions of instruments in two dimensions, and the patches that open them.

The ears give each instrument a likeness to each of the 598 instruments they know (the mean over a
few keys). Its principal components are the instrument's profile, and instruments with similar
profiles are near each other on the map. A new instrument is placed among its nearest neighbours,

    position = Σ wᵢ positionᵢ / Σ wᵢ,   wᵢ = dᵢ⁻⁴  over the 8 nearest, at the distances dᵢ

of the profiles, or of the timbres until the ears have heard it.

A map is one .npz file without pickles. It belongs to one set of weights; `build_map` builds it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.files import write_atomically
from mechanical_ears.imagining.patch import Patch
from mechanical_ears.note import FAMILIES

SHIPPED_MAP: Final = Path(__file__).parent / "map.npz"
VERSION: Final = 1
NEIGHBOURS: Final = 8
DISTANCE_POWER: Final = -4  # of the neighbours' weights
PROFILE_SIZE: Final = 32  # numbers of a profile
DECIMALS: Final = 2  # dB, to which `match_loudness` rounds gain and balance

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ProfileAxes:
    """The principal components of likenesses.

    Attributes:
        mean: float32 (known,), of likenesses.
        axes: float32 (known, axes).
        known: names of the known instruments.
    """

    mean: Array
    axes: Array
    known: tuple[str, ...]

    def profile(self, likenesses: Array) -> Array:
        """Profiles float32 (…, axes) of likenesses (…, known)."""
        return np.asarray((likenesses - self.mean) @ self.axes, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SoundMap:
    """Imagined instruments on a map, a row for each.

    Attributes:
        weights: SHA-256 of the generator that plays them.
        licence: licence of the weights.
        axes: of the profiles.
        seeds: int32 (n,).
        families: int8 (n,), indices into `FAMILIES`.
        candidates: int8 (n,), number of the seed's candidate.
        timbres: float32 (n, 64).
        gains: float32 (n,), dB.
        balances: float32 (n, 5), dB.
        profiles: float16 (n, axes).
        positions: float32 (n, 2), −1..1.
        novelty: float16 (n,), 1 − likeness of the nearest known instrument.
        nearest: int16 (n,), indices into the known instruments.
    """

    weights: str
    licence: str
    axes: ProfileAxes
    seeds: Array
    families: Array
    candidates: Array
    timbres: Array
    gains: Array
    balances: Array
    profiles: Array
    positions: Array
    novelty: Array
    nearest: Array

    def __len__(self) -> int:
        """Number of instruments."""
        return len(self.seeds)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the instruments' patches."""
        return tuple(self.patch(row).id(self.weights) for row in range(len(self)))

    def name(self, row: int) -> str:
        """Name of an instrument."""
        return f"{FAMILIES[self.families[row]]}-{self.seeds[row]}"

    def patch(self, row: int) -> Patch:
        """The patch that `imagine` gives for the instrument's seed, family and candidate."""
        family, seed = FAMILIES[self.families[row]], int(self.seeds[row])
        return Patch(
            name=self.name(row),
            family=family,
            licence=self.licence,
            timbre=self.timbres[row],
            gain=round(float(self.gains[row]), DECIMALS),
            balance=tuple(round(float(value), DECIMALS) for value in self.balances[row]),
            seed=seed,
            origin={"seed": seed, "family": {family: 1.0}, "draw": int(self.candidates[row])},
        )

    def first(self, count: int) -> SoundMap:
        """A map of the first ``count`` instruments."""
        if count >= len(self):
            return self
        columns = {name: getattr(self, name)[:count] for name in COLUMNS}
        return SoundMap(self.weights, self.licence, self.axes, **columns)

    def position_of_timbre(self, timbre: Array) -> tuple[float, float] | None:
        """Position of a timbre, float32 (64,), whose likeness is not known yet."""
        return interpolate_position(np.sum((self.timbres - timbre) ** 2, axis=1), self.positions)

    def position_of_likeness(self, likeness: Array) -> tuple[float, float] | None:
        """Position of an instrument by its likeness to the known ones, float32 (known,)."""
        return interpolate_position(self._squared_distances(likeness), self.positions)

    def nearest_rows(self, likeness: Array, count: int) -> list[tuple[int, float]]:
        """Rows of the nearest instruments, with the cosine of the profiles, −1..1."""
        profile = self.axes.profile(likeness)
        profiles = self.profiles.astype(np.float32)
        lengths = np.linalg.norm(profiles, axis=1) * max(float(np.linalg.norm(profile)), 1e-9)
        cosines = (profiles @ profile) / np.maximum(lengths, 1e-9)
        rows = np.argsort(self._squared_distances(likeness))[:count]
        return [(int(row), float(np.clip(cosines[row], -1, 1))) for row in rows]

    def _squared_distances(self, likeness: Array) -> Array:
        differences = self.profiles.astype(np.float32) - self.axes.profile(likeness)
        return np.asarray(np.sum(differences**2, axis=1))

    def save(self, path: Path) -> Path:
        """Write the map.

        Raises:
            EarsError: it cannot be written.
        """
        header = {
            "version": VERSION,
            "weights": self.weights,
            "licence": self.licence,
            "known": self.axes.known,
        }
        columns = {COLUMNS[name]: getattr(self, name) for name in COLUMNS}
        with write_atomically(path) as temporary:
            np.savez_compressed(
                temporary,
                about=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
                mean=self.axes.mean.astype(np.float32),
                axes=self.axes.axes.astype(np.float16),
                **columns,
            )
        return path

    @classmethod
    def load(cls, path: Path) -> SoundMap:
        """Read a map.

        Raises:
            EarsError: it is missing, damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(file["about"].tobytes())
                if header["version"] != VERSION:
                    raise ValueError(f"version {header['version']}")
                known = tuple(header["known"])
                axes = ProfileAxes(file["mean"], file["axes"].astype(np.float32), known)
                columns = {name: file[key] for name, key in COLUMNS.items()}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            problem = f"is not a map that can be read ({error})"
            remedy = "build it again with: python -m mechanical_ears.explore.build_map"
            raise EarsError(problem, path=path, remedy=remedy) from error
        if len({len(column) for column in columns.values()}) != 1:
            raise EarsError("its columns have different lengths", path=path)
        return cls(header["weights"], header["licence"], axes, **columns)


_FILE_KEYS: Final = {"candidates": "draws", "positions": "places"}
COLUMNS: Final = {  # names of the columns in the file, by attribute
    each.name: _FILE_KEYS.get(each.name, each.name)
    for each in fields(SoundMap)
    if each.name not in ("weights", "licence", "axes")
}


def interpolate_position(squared_distances: Array, positions: Array) -> tuple[float, float] | None:
    """The position among the nearest neighbours; None without any.

    Args:
        squared_distances: (n,), to instruments.
        positions: (n, 2), of the instruments.
    """
    if not len(squared_distances):
        return None
    near = np.argsort(squared_distances)[:NEIGHBOURS]
    squares = np.maximum(squared_distances[near].astype(np.float64), 1e-12)
    weights = squares ** (DISTANCE_POWER / 2)
    x, y = (weights @ positions[near]) / weights.sum()
    return float(x), float(y)


def principal_axes(
    likenesses: Array, known: Sequence[str], count: int = PROFILE_SIZE
) -> ProfileAxes:
    """The principal components of likenesses (n, known)."""
    mean = likenesses.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, _, rows = np.linalg.svd(likenesses - mean, full_matrices=False)
    axes = rows[:count].T.astype(np.float16).astype(np.float32)  # the precision of the file
    return ProfileAxes(mean, axes, tuple(known))
