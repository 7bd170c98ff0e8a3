"""What recordings have beyond what is imagined of them, carried to the keys that were not recorded.

At a recorded key and velocity x_i = (p_i, v_i), the outline X_i of the recording and that of the
imagined instrument, G(x_i), differ by R_i = X_i − G(x_i). Elsewhere

    X(x) = G(x) + Σ_i w_i(x) R_i        w(x) = k(x)ᵀ (K + ε)⁻¹        K_ij = k(x_i, x_j)

the mean of a Gaussian process (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
2006), with the kernel

    k(x, y) = a + (1 − a) · exp(−|p_x − p_y| / ℓ − |v_x − v_y| / 90)

so that the recording itself sounds at its own key; near it, its character remains; and far away
only the share a of it that belongs to the whole instrument. The shares and lengths are those found
between the keys of instruments of the training fonts (``benchmarks/like.py --kernels``).

Levels are told apart down to −95 dB: how far below that a silent partial lies says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.controls import SILENCE
from mechanical_ears.imagining.outline import SHAPES, Outlines, joined
from mechanical_ears.imagining.tensors import DAMAGE, tensor_bytes, tensors

FLOOR: Final = -95.0  # dB, below which levels are alike
MOST: Final = 40.0  # dB, that are carried of a difference of levels
LEVELS: Final = ("partials", "slots", "noise")  # dB, with silence
VELOCITY_LENGTH: Final = 90.0  # MIDI velocities
NUGGET: Final = 1e-3  # ε: two takes of one note are averaged
FORMAT: Final = "mechanical-ears-carried"
VERSION: Final = "1"


@dataclass(frozen=True)
class Kernel:
    """How what is found at one key holds at others.

    Attributes:
        everywhere: share a of its variance that the whole instrument has, 0..1.
        semitones: length ℓ, over which the rest falls to 37 %.
    """

    everywhere: float
    semitones: float

    def __call__(
        self,
        pitches: NDArray[np.float64],
        velocities: NDArray[np.float64],
        other_pitches: NDArray[np.float64],
        other_velocities: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Covariances (notes, other notes)."""
        steps = np.abs(pitches[:, None] - other_pitches) / self.semitones
        forces = np.abs(velocities[:, None] - other_velocities) / VELOCITY_LENGTH
        return np.asarray(self.everywhere + (1 - self.everywhere) * np.exp(-steps - forces))


KERNELS: Final[dict[str, Kernel]] = {
    "partials": Kernel(0.4, 12.0),
    "slots": Kernel(0.2, 12.0),
    "noise": Kernel(0.5, 24.0),
    "cents": Kernel(0.1, 12.0),
    "fine": Kernel(0.1, 6.0),
    "offsets": Kernel(0.1, 6.0),
    "stiffness": Kernel(0.5, 24.0),
    "ratios": Kernel(0.2, 12.0),
}


@dataclass(frozen=True, eq=False)
class Carried:
    """Differences at recorded notes.

    Attributes:
        pitches: MIDI numbers, float64 (n,).
        velocities: MIDI velocities, float64 (n,).
        groups: int64 (n,), which instrument each was recorded from: a morph has two.
        shares: float64 (n,), how much of it is carried, 1 but for morphs.
        differences: recorded less imagined, outlines of n notes.
    """

    pitches: NDArray[np.float64]
    velocities: NDArray[np.float64]
    groups: NDArray[np.int64]
    shares: NDArray[np.float64]
    differences: Outlines

    def __len__(self) -> int:
        return len(self.pitches)

    def added_to(self, outlines: Outlines, pitches: ArrayLike, velocities: ArrayLike) -> Outlines:
        """Imagined outlines with what was recorded.

        Args:
            outlines: imagined, of m notes.
            pitches: MIDI numbers (m,).
            velocities: MIDI velocities (m,).
        """
        keys, forces = np.asarray(pitches, np.float64), np.asarray(velocities, np.float64)
        parts = {}
        for name in SHAPES:
            imagined = getattr(outlines, name)
            weights = self.weights(KERNELS[name], keys, forces).astype(np.float32)
            carried = np.tensordot(weights, getattr(self.differences, name), axes=1)
            if name in LEVELS:
                told = np.maximum(imagined, FLOOR) + carried
                parts[name] = np.where(told > FLOOR + 1, told, SILENCE).astype(np.float32)
            else:
                parts[name] = (imagined + carried).astype(np.float32)
        return Outlines(**parts)

    def weights(
        self, kernel: Kernel, pitches: NDArray[np.float64], velocities: NDArray[np.float64]
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


def differences(recorded: Outlines, imagined: Outlines) -> Outlines:
    """Recorded less imagined, as far as levels can be told."""
    parts = {}
    for name in SHAPES:
        ours, theirs = getattr(recorded, name), getattr(imagined, name)
        if name in LEVELS:
            apart = np.maximum(ours, FLOOR) - np.maximum(theirs, FLOOR)
            parts[name] = np.clip(apart, -MOST, MOST)
        else:
            parts[name] = ours - theirs
    return Outlines(**parts)


def mixed(parts: Sequence[tuple[float, Carried | None]]) -> Carried | None:
    """What several instruments carry, each with its share; None for nothing."""
    chosen = [(share, each) for share, each in parts if each is not None and share != 0]
    if not chosen:
        return None
    groups, first = [], 0
    for _, each in chosen:
        groups.append(each.groups + first)
        first += int(each.groups.max()) + 1
    return Carried(
        pitches=np.concatenate([each.pitches for _, each in chosen]),
        velocities=np.concatenate([each.velocities for _, each in chosen]),
        groups=np.concatenate(groups),
        shares=np.concatenate([share * each.shares for share, each in chosen]),
        differences=joined([each.differences for _, each in chosen]),
    )


def to_bytes(carried: Carried) -> bytes:
    """As the bytes of a safetensors file."""
    arrays: dict[str, NDArray[np.float32]] = {
        name: np.asarray(getattr(carried, name), dtype=np.float32)
        for name in ("pitches", "velocities", "groups", "shares")
    }
    halves = {name: getattr(carried.differences, name).astype(np.float16) for name in SHAPES}
    return tensor_bytes({**arrays, **halves}, {"format": FORMAT, "version": VERSION})


def from_bytes(data: bytes, path: str | Path | None = None) -> Carried:
    """From the bytes of a safetensors file.

    Raises:
        EarsError: the bytes are damaged, something else or of a newer version.
    """
    try:
        told, arrays = tensors(data)
        if told.get("format") != FORMAT:
            raise ValueError("it is another file")
        if told.get("version") != VERSION:
            raise EarsError(
                f"is of version {told.get('version')}, this program reads {VERSION}",
                path=path,
                remedy="update mechanical-ears",
            )
        count = len(arrays["pitches"])
        parts = {}
        for name, shape in SHAPES.items():
            parts[name] = arrays[name].astype(np.float32)
            if parts[name].shape != (count, *shape) or not np.isfinite(parts[name]).all():
                raise ValueError(f'"{name}" is not {count} times {shape} finite numbers')
        rows = [arrays[name].astype(np.float64) for name in ("pitches", "velocities", "shares")]
        groups = arrays["groups"].astype(np.int64)
        if any(row.shape != (count,) or not np.isfinite(row).all() for row in [*rows, groups]):
            raise ValueError("its notes are not told")
    except DAMAGE as error:
        raise EarsError(
            f"is not what an instrument carries, or damaged ({error})",
            path=path,
            remedy="imagine it again from its recordings",
        ) from error
    pitches, velocities, shares = rows
    return Carried(pitches, velocities, groups, shares, Outlines(**parts))


def louder(outlines: Outlines, gain: float) -> Outlines:
    """Outlines with all levels moved by ``gain`` dB, silence staying silent."""
    if gain == 0:
        return outlines
    moved = {
        name: np.where(
            getattr(outlines, name) > SILENCE,
            np.maximum(getattr(outlines, name) + np.float32(gain), SILENCE),
            np.float32(SILENCE),
        )
        for name in LEVELS
    }
    return replace(outlines, **moved)
