"""The code of a note: its outline as a few numbers, in which a network learns quickly.

An outline holds 9,322 numbers, most of which follow from the others. A principal component analysis
(Pearson, "On lines and planes of closest fit", 1901; by random projections, Halko et al., "Finding
structure with randomness", 2011) keeps those directions along which notes differ most:

    x = (w ⊙ y − μ) V / σ        y ≈ (μ + (x ⊙ σ) Vᵀ) / w

with weights w that make the blocks of an outline comparable (a decibel in one cell of a partial is
1), components V and their standard deviations σ. Levels are taken relative to the loudest moment of
the note, and with a soft floor ε, so that nothing depends on how silent silence is:

    y = 20 log10(10^((v − L) / 20) + ε)        L: dB, of the loudest moment

A code is L / 10 dB, then x.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from mechanical_ears.resynthesis.control_grid import (
    GRID_FRAMES,
    GRID_NOISE_FRAMES,
    GRID_SHAPES,
    PARTIAL_ROWS,
    ControlGrid,
)
from mechanical_ears.resynthesis.control_map import SINGLES

COMPONENTS: Final = 224
DEPTH: Final = 80.0  # dB below the loudest moment, where the soft floor lies
LEVEL_SCALE: Final = 10.0  # dB, of one unit of a code's first number
NOTHING: Final = -120.0  # dB, of what is at the floor
CENTS: Final = 60.0  # of a moving pitch, at most
OFFSETS: Final = 200.0  # cents, of a partial, at most
LEAST_DEVIATION: Final = 0.01  # of the greatest: what few notes have in common is no component
NEVER: Final = -59.0  # dB, fine structure of a partial that never sounds
WEIGHTS: Final = {  # of one unit, where a decibel of one cell of a partial is 1
    "slots": 0.7,
    "noise": 1.0,
    "cents": 0.5,
    "fine": 0.5,
    "offsets": 0.6,
    "stiffness": 15.0,
    "ratios": 40.0,
}


_NEPERS: Final = math.log(10) / 10  # of power, in a decibel


class GridTensors(NamedTuple):
    """`ControlGrid` as tensors, which gradients pass; the same fields."""

    partials: Tensor
    slots: Tensor
    noise: Tensor
    cents: Tensor
    fine: Tensor
    offsets: Tensor
    stiffness: Tensor
    ratios: Tensor


def tensors(outlines: ControlGrid) -> GridTensors:
    """The same outlines as tensors."""
    values = {part.name: getattr(outlines, part.name) for part in fields(outlines)}
    return GridTensors(**{name: torch.from_numpy(value) for name, value in values.items()})


def row_weights() -> Tensor:
    """Of the rows of partials, float32 (64, 1): the further up, the less one row matters."""
    numbers = torch.cat([torch.arange(SINGLES), torch.full((PARTIAL_ROWS - SINGLES,), SINGLES)])
    return (1 / (1 + numbers / 24).sqrt())[:, None]


def block_sizes() -> dict[str, int]:
    """Numbers in each block of an outline, by name."""
    return {name: math.prod(shape) for name, shape in GRID_SHAPES.items()}


def loudest_moment(outlines: GridTensors) -> Tensor:
    """Level of the loudest frame, dB, float32 (n,)."""
    tones = torch.cat([outlines.partials, outlines.slots], dim=1)
    power = torch.exp(tones * _NEPERS).sum(dim=1)  # half of a sine's square is left out throughout
    noise = torch.exp(outlines.noise * _NEPERS).sum(dim=1) * 2
    loudest = torch.maximum(power.amax(dim=1), noise.amax(dim=1))
    return 10 * loudest.clamp_min(1e-12).log10()


def flattened(outlines: GridTensors, level: Tensor) -> Tensor:
    """Weighted numbers of outlines, float32 (n, 9321), levels relative to ``level`` (n,)."""

    def relative(rows: Tensor) -> Tensor:
        amplitude = torch.exp((rows - level[:, None, None]) * (_NEPERS / 2))
        return 20 * (amplitude + 10 ** (-DEPTH / 20)).log10()

    blocks = {
        "partials": relative(outlines.partials),
        "slots": relative(outlines.slots),
        "noise": relative(outlines.noise),
        "cents": outlines.cents.clamp(-CENTS, CENTS),
        "fine": torch.where(outlines.fine <= NEVER, 0, outlines.fine).clamp(-25.0, 12.0),
        "offsets": outlines.offsets.clamp(-OFFSETS, OFFSETS),
        "stiffness": outlines.stiffness,
        "ratios": outlines.ratios.clamp(0.1, 40.0).log2(),
    }
    return weighted(GridTensors(**blocks))


def weighted(blocks: GridTensors) -> Tensor:
    """Blocks of outlines side by side, each by its weight, float32 (n, 9321)."""
    parts = blocks._asdict()
    parts["partials"] = blocks.partials * row_weights().to(blocks.partials.device)
    flat = [
        WEIGHTS.get(name, 1.0) * part.reshape(part.shape[0], -1) for name, part in parts.items()
    ]
    return torch.cat(flat, dim=1)


def unflattened(flat: Tensor, level: Tensor) -> GridTensors:
    """Outlines of weighted numbers; the way back from `flattened`."""
    sizes = block_sizes()
    pieces = dict(zip(sizes, torch.split(flat, list(sizes.values()), dim=1), strict=True))

    def absolute(name: str, rows: int, frames: int) -> Tensor:
        values = torch.unflatten(pieces[name], 1, (rows, frames)) / WEIGHTS.get(name, 1.0)
        if name == "partials":
            values = values / row_weights().to(level.device)
        amplitude = torch.exp(values.clamp(-DEPTH - 20.0, 20.0) * (_NEPERS / 2)) - 10 ** (
            -DEPTH / 20
        )
        floor = 10 ** ((NOTHING + 0.0) / 20)
        return (20 * amplitude.clamp_min(floor).log10() + level[:, None, None]).clamp_min(NOTHING)

    return GridTensors(
        partials=absolute("partials", PARTIAL_ROWS, GRID_FRAMES),
        slots=absolute("slots", *GRID_SHAPES["slots"]),
        noise=absolute("noise", GRID_SHAPES["noise"][0], GRID_NOISE_FRAMES),
        cents=pieces["cents"] / WEIGHTS["cents"],
        fine=pieces["fine"] / WEIGHTS["fine"],
        offsets=pieces["offsets"] / WEIGHTS["offsets"],
        stiffness=(pieces["stiffness"] / WEIGHTS["stiffness"])[:, 0],
        ratios=torch.exp2(pieces["ratios"] / WEIGHTS["ratios"]),
    )


class Codec(nn.Module):
    """Outlines ↔ codes.

    Args:
        mean: μ, float32 (9321,).
        basis: V, float32 (9321, components).
        deviation: σ, float32 (components,), descending.
    """

    mean: Tensor
    basis: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, basis: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)
        self.register_buffer("deviation", deviation)

    @classmethod
    def blank(cls, components: int = COMPONENTS) -> Codec:
        """One of the right sizes, to load weights into."""
        size = sum(block_sizes().values())
        return cls(torch.zeros(size), torch.zeros(size, components), torch.ones(components))

    def encode(self, outlines: GridTensors) -> Tensor:
        """Codes, float32 (n, 1 + components)."""
        level = loudest_moment(outlines)
        flat = flattened(outlines, level)
        values = ((flat - self.mean) @ self.basis) / self.deviation
        return torch.cat([level[:, None] / LEVEL_SCALE, values], dim=1)

    def decode(self, codes: Tensor) -> GridTensors:
        """Outlines of codes (n, 1 + components)."""
        flat = self.mean + (codes[:, 1:] * self.deviation) @ self.basis.T
        return unflattened(flat, codes[:, 0] * LEVEL_SCALE)


@torch.no_grad()
def fit_codec(
    batches: Iterable[GridTensors], components: int = COMPONENTS, seed: int = 0
) -> tuple[Codec, Tensor]:
    """Find the components of notes.

    Args:
        batches: all notes to learn from.
        components: how many; fewer if there are fewer notes.
        seed: of the random projections.

    Returns:
        The codec, and the codes of the notes, float32 (n, 1 + components).
    """
    levels, rows = [], []
    for batch in batches:
        level = loudest_moment(batch)
        levels.append(level)
        rows.append(flattened(batch, level).half())
    flat = torch.cat(rows).float()
    rows.clear()
    mean = flat.mean(dim=0)
    flat -= mean
    components = min(components, *flat.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, _, basis = torch.svd_lowrank(flat, q=min(components + 16, *flat.shape), niter=3)
    basis = basis[:, :components].contiguous()
    values = flat @ basis
    deviation = values.std(dim=0)
    deviation = deviation.clamp_min(LEAST_DEVIATION * float(deviation.max()))
    codec = Codec(mean, basis, deviation)
    codes = torch.cat([torch.cat(levels)[:, None] / LEVEL_SCALE, values / deviation], dim=1)
    return codec, codes
