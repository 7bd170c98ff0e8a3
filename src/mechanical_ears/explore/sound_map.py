"""The map of sound space: where instruments lie, in two dimensions, and how they are opened.

The ears tell of each instrument how like it is to each one they know (598 likenesses, the mean over
a few keys); the main axes of those are its profile. Instruments of like profile lie side by side.
What comes later is placed among its nearest neighbours on the map,

    place = Σ wᵢ placeᵢ / Σ wᵢ,   wᵢ = dᵢ⁻⁴  over the 8 nearest, at the distances dᵢ

by profile where it was heard, by timbre where it was not yet.

A map is one .npz file without pickles. It is made for one set of weights; see build_map.py.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
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

SHIPPED: Final = Path(__file__).parent / "map.npz"
VERSION: Final = 1
NEIGHBOURS: Final = 8
SHARPNESS: Final = 4  # of the weights among neighbours
AXES: Final = 32  # of a profile
DECIMALS: Final = 2  # dB, of gain and balance; see audition.py

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Axes:
    """What turns likenesses into a profile.

    Attributes:
        mean: float32 (known,), of likenesses.
        axes: float32 (known, axes).
        known: names of the instruments that the ears know.
    """

    mean: Array
    axes: Array
    known: tuple[str, ...]

    def profile(self, likenesses: Array) -> Array:
        """Profiles (…, axes) of likenesses (…, known)."""
        return np.asarray((likenesses - self.mean) @ self.axes, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SpaceMap:
    """Imagined instruments on a map, a row for each.

    Attributes:
        weights: SHA-256 of the generator that imagines them.
        licence: of these weights.
        axes: of the profiles.
        seeds: int32 (n,).
        families: int8 (n,), indices into `FAMILIES`.
        draws: int8 (n,).
        timbres: float32 (n, 64).
        gains: float32 (n,), dB.
        balances: float32 (n, 5), dB.
        profiles: float16 (n, axes).
        places: float32 (n, 2), −1..1.
        novelty: float16 (n,).
        nearest: int16 (n,), indices into the known instruments.
    """

    weights: str
    licence: str
    axes: Axes
    seeds: Array
    families: Array
    draws: Array
    timbres: Array
    gains: Array
    balances: Array
    profiles: Array
    places: Array
    novelty: Array
    nearest: Array

    def __len__(self) -> int:
        """Number of instruments."""
        return len(self.seeds)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Of the instruments' patches."""
        return tuple(self.patch(row).id(self.weights) for row in range(len(self)))

    def name(self, row: int) -> str:
        """Of an instrument."""
        return f"{FAMILIES[self.families[row]]}-{self.seeds[row]}"

    def patch(self, row: int) -> Patch:
        """An instrument, as `imagine` of its seed, family and draw gives it."""
        family, seed = FAMILIES[self.families[row]], int(self.seeds[row])
        return Patch(
            name=self.name(row),
            family=family,
            licence=self.licence,
            timbre=self.timbres[row],
            gain=round(float(self.gains[row]), DECIMALS),
            balance=tuple(round(float(value), DECIMALS) for value in self.balances[row]),
            seed=seed,
            origin={"seed": seed, "family": {family: 1.0}, "draw": int(self.draws[row])},
        )

    def first(self, count: int) -> SpaceMap:
        """A smaller map, of the first instruments."""
        return self if count >= len(self) else self._of({n: getattr(self, n)[:count] for n in ROWS})

    def _of(self, rows: Mapping[str, Array]) -> SpaceMap:
        return SpaceMap(self.weights, self.licence, self.axes, **rows)

    def among_timbres(self, timbre: Array) -> tuple[float, float] | None:
        """The place of a timbre, float32 (64,), that was not heard yet."""
        return among(np.sum((self.timbres - timbre) ** 2, axis=1), self.places)

    def among_likenesses(self, likenesses: Array) -> tuple[float, float] | None:
        """The place of what is so like the known instruments, float32 (known,)."""
        return among(self._squares(likenesses), self.places)

    def nearest_rows(self, likenesses: Array, count: int) -> list[tuple[int, float]]:
        """The nearest instruments and how like they are: the cosine of the profiles, −1..1."""
        profile = self.axes.profile(likenesses)
        profiles = self.profiles.astype(np.float32)
        lengths = np.linalg.norm(profiles, axis=1) * max(float(np.linalg.norm(profile)), 1e-9)
        cosines = (profiles @ profile) / np.maximum(lengths, 1e-9)
        rows = np.argsort(self._squares(likenesses))[:count]
        return [(int(row), float(np.clip(cosines[row], -1, 1))) for row in rows]

    def _squares(self, likenesses: Array) -> Array:
        apart = self.profiles.astype(np.float32) - self.axes.profile(likenesses)
        return np.asarray(np.sum(apart**2, axis=1))

    def save(self, path: Path) -> Path:
        """Write the map.

        Raises:
            EarsError: it cannot be written.
        """
        about = {
            "version": VERSION,
            "weights": self.weights,
            "licence": self.licence,
            "known": self.axes.known,
        }
        told = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        rows = {name: getattr(self, name) for name in ROWS}
        with write_atomically(path) as temporary:
            np.savez_compressed(
                temporary,
                about=told,
                mean=self.axes.mean.astype(np.float32),
                axes=self.axes.axes.astype(np.float16),
                **rows,
            )
        return path

    @classmethod
    def load(cls, path: Path) -> SpaceMap:
        """Read a map.

        Raises:
            EarsError: it is missing, damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                if about["version"] != VERSION:
                    raise ValueError(f"version {about['version']}")
                axes = Axes(file["mean"], file["axes"].astype(np.float32), tuple(about["known"]))
                rows = {name: file[name] for name in ROWS}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise EarsError(
                f"is no map that can be read ({error})",
                path=path,
                remedy="make it again with: python -m mechanical_ears.explore.build_map",
            ) from error
        if len({len(each) for each in rows.values()}) != 1:
            raise EarsError("its columns are of different lengths", path=path)
        return cls(about["weights"], about["licence"], axes, **rows)


ROWS: Final = tuple(
    each.name for each in fields(SpaceMap) if each.name not in ("weights", "licence", "axes")
)


def among(squares: Array, places: Array) -> tuple[float, float] | None:
    """The place among the nearest neighbours; None where there is none.

    Args:
        squares: squared distances (n,) to instruments.
        places: theirs, (n, 2).
    """
    if not len(squares):
        return None
    near = np.argsort(squares)[:NEIGHBOURS]
    weights = np.maximum(squares[near].astype(np.float64), 1e-12) ** (-SHARPNESS / 2)
    x, y = (weights @ places[near]) / weights.sum()
    return float(x), float(y)


def principal_axes(likenesses: Array, known: Sequence[str], count: int = AXES) -> Axes:
    """The main axes of likenesses (n, known)."""
    mean = likenesses.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, _, rows = np.linalg.svd(likenesses - mean, full_matrices=False)
    axes = rows[:count].T.astype(np.float16).astype(np.float32)  # as the file will have them
    return Axes(mean, axes, tuple(known))
