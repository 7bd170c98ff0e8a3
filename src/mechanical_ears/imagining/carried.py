"""What recordings have beyond what is imagined of them, carried to the keys that were not recorded.

Outlines are compared by numbers y that make sense of a difference: levels are taken relative to the
loudest moment L of their note, and have a soft floor, so that it does not matter how silent silence
is; ratios are logarithms:

    y = 20 log10(10^((v − L) / 20) + ε)        ε: −80 dB

At a recorded key and velocity x_i = (p_i, v_i), the recording and the imagined instrument differ by
R_i = y_recorded − y_imagined. At others, y_imagined gets

    Σ_i w_i(x) R_i        w(x) = k(x)ᵀ (K + ν)⁻¹        K_ij = k(x_i, x_j)

the mean of a Gaussian process (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
2006), with the kernel

    k(x, y) = a + (b − a) · exp(−|p_x − p_y| / ℓ − |v_x − v_y| / 90) + (1 − b) · [x = y]

so that the recording itself sounds at its own key; near it, its character remains; and far away
only the share a of it that belongs to the whole instrument. What only the one note has, 1 − b,
fades out over two semitones. The shares and lengths are those found between the keys of instruments
that the training left out (``benchmarks/like.py --kernels``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.controls import SILENCE
from mechanical_ears.imagining.outline import SHAPES, Outlines
from mechanical_ears.imagining.tensors import DAMAGE, tensor_bytes, tensors

DEPTH: Final = 80.0  # dB below the loudest moment, where the soft floor lies
MOST: Final = 40.0  # dB, that are carried of a difference of levels
LEVELS: Final = ("partials", "slots", "noise")  # dB, with silence
OFFSETS: Final = 200.0  # cents, of a partial, at most
NEVER: Final = -59.0  # dB, fine structure of a partial that never sounds
FINE: Final = (-25.0, 12.0)  # dB, of one that does
VELOCITY_LENGTH: Final = 90.0  # MIDI velocities
OWN_LENGTH: Final = 1.0  # semitones, over which what only one note has fades
NUGGET: Final = 1e-3  # ν: two takes of one note are averaged
FORMAT: Final = "mechanical-ears-carried"
VERSION: Final = "1"
_EPSILON: Final = 10 ** (-DEPTH / 20)


@dataclass(frozen=True)
class Kernel:
    """How what is found at one key holds at others.

    Attributes:
        everywhere: share a of its variance that the whole instrument has, 0..1.
        near: share b that its neighbours have, too, a..1.
        semitones: length ℓ, over which b − a falls to 37 %.
    """

    everywhere: float
    near: float
    semitones: float

    def __call__(
        self,
        pitches: NDArray[np.float64],
        velocities: NDArray[np.float64],
        other_pitches: NDArray[np.float64],
        other_velocities: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Covariances (notes, other notes)."""
        steps = np.abs(pitches[:, None] - other_pitches)
        forces = np.abs(velocities[:, None] - other_velocities) / VELOCITY_LENGTH
        around = np.exp(-steps / self.semitones - forces)
        own = np.exp(-steps / OWN_LENGTH - forces)
        mixed = self.everywhere + (self.near - self.everywhere) * around + (1 - self.near) * own
        return np.asarray(mixed)


KERNELS: Final[dict[str, Kernel]] = {
    "level": Kernel(0.3, 0.9, 12.0),
    "partials": Kernel(0.4, 0.9, 12.0),
    "slots": Kernel(0.2, 0.9, 12.0),
    "noise": Kernel(0.5, 0.9, 24.0),
    "cents": Kernel(0.1, 0.9, 12.0),
    "fine": Kernel(0.1, 0.9, 6.0),
    "offsets": Kernel(0.1, 0.9, 6.0),
    "stiffness": Kernel(0.5, 0.9, 24.0),
    "ratios": Kernel(0.2, 0.9, 12.0),
}


@dataclass(frozen=True, eq=False)
class Carried:
    """Differences at recorded notes.

    Attributes:
        pitches: MIDI numbers, float64 (n,).
        velocities: MIDI velocities, float64 (n,).
        groups: int64 (n,), which instrument each was recorded from: a morph has two.
        shares: float64 (n,), how much of it is carried, 1 but for morphs.
        differences: recorded less imagined, as `told` tells them, by name, float32 (n, …).
    """

    pitches: NDArray[np.float64]
    velocities: NDArray[np.float64]
    groups: NDArray[np.int64]
    shares: NDArray[np.float64]
    differences: Mapping[str, NDArray[np.float32]]

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
        sums = {}
        for name, imagined in told(outlines).items():
            weights = self.weights(KERNELS[name], keys, forces).astype(np.float32)
            sums[name] = imagined + np.tensordot(weights, self.differences[name], axes=1)
        return untold(sums)

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


def told(outlines: Outlines) -> dict[str, NDArray[np.float32]]:
    """Numbers by which outlines are compared, by name; beside their fields the level, dB (n,)."""
    power = 10 ** (np.concatenate([outlines.partials, outlines.slots], axis=1) / 10)
    hiss = 2 * (10 ** (outlines.noise / 10)).sum(axis=1).max(axis=1)
    loudest = np.maximum(power.sum(axis=1).max(axis=1), hiss)
    level = 10 * np.log10(np.maximum(loudest, 10 ** (SILENCE / 10)))
    numbers = {name: getattr(outlines, name) for name in SHAPES}
    for name in LEVELS:
        amplitude = 10 ** ((numbers[name] - level[:, None, None]) / 20)
        numbers[name] = 20 * np.log10(amplitude + _EPSILON)
    fine = numbers["fine"]
    numbers["fine"] = np.where(fine <= NEVER, 0, np.clip(fine, *FINE))
    numbers["offsets"] = np.clip(numbers["offsets"], -OFFSETS, OFFSETS)
    numbers["ratios"] = np.log2(np.maximum(numbers["ratios"], 1e-3))
    numbers["level"] = level
    return {name: np.asarray(values, dtype=np.float32) for name, values in numbers.items()}


def untold(numbers: Mapping[str, NDArray[np.float32]]) -> Outlines:
    """Outlines from the numbers of `told`."""
    parts = {name: numbers[name] for name in SHAPES}
    for name in LEVELS:
        amplitude = 10 ** (np.minimum(parts[name], MOST) / 20) - _EPSILON
        heard = amplitude > 0.2 * _EPSILON
        levels = 20 * np.log10(np.where(heard, amplitude, 1)) + numbers["level"][:, None, None]
        parts[name] = np.where(heard, np.maximum(levels, SILENCE), SILENCE)
    parts["ratios"] = 2 ** parts["ratios"]
    return Outlines(**{name: part.astype(np.float32) for name, part in parts.items()})


def differences(recorded: Outlines, imagined: Outlines) -> dict[str, NDArray[np.float32]]:
    """Recorded less imagined, in half precision, as they are kept."""
    ours, theirs = told(recorded), told(imagined)
    apart = {name: ours[name] - theirs[name] for name in ours}
    for name in LEVELS:
        apart[name] = np.clip(apart[name], -MOST, MOST)
    return halved(apart)


def halved(numbers: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """What is left of numbers in half precision."""
    return {name: each.astype(np.float16).astype(np.float32) for name, each in numbers.items()}


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
        differences={
            name: np.concatenate([each.differences[name] for _, each in chosen]) for name in KERNELS
        },
    )


def to_bytes(carried: Carried) -> bytes:
    """As the bytes of a safetensors file."""
    arrays: dict[str, NDArray[np.float32]] = {
        name: np.asarray(getattr(carried, name), dtype=np.float32)
        for name in ("pitches", "velocities", "groups", "shares")
    }
    halves = {name: each.astype(np.float16) for name, each in carried.differences.items()}
    return tensor_bytes({**arrays, **halves}, {"format": FORMAT, "version": VERSION})


def from_bytes(data: bytes, path: str | Path | None = None) -> Carried:
    """From the bytes of a safetensors file.

    Raises:
        EarsError: the bytes are damaged, something else or of a newer version.
    """
    try:
        about, arrays = tensors(data)
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
        for name, shape in {**SHAPES, "level": ()}.items():
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
    return Carried(pitches, velocities, groups, shares, parts)


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
