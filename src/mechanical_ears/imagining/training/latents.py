"""Latents of notes: their control grids as a few numbers, in which networks learn quickly.

A control grid holds 9,322 numbers, most of which follow from the others. A principal component
analysis (Pearson, "On lines and planes of closest fit", 1901; by random projections, Halko et al.,
"Finding structure with randomness", 2011) keeps the directions along which notes differ most:

    x = (w ⊙ y − μ) V / σ        y ≈ (μ + (x ⊙ σ) Vᵀ) / w

with weights w that make the blocks of a grid comparable (a decibel in one cell of a partial counts
1), components V and their standard deviations σ. Levels are relative to the loudest moment of the
note, with a soft floor ε, so that nothing depends on how silent silence is:

    y = 20 log10(10^((v − L) / 20) + ε)        L: dB, of the loudest moment

A latent is L / 10 dB, then x.
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
from mechanical_ears.resynthesis.control_map import SILENCE_DB, SINGLES
from mechanical_ears.resynthesis.grid_features import (
    FINE_RANGE_DB,
    FLOOR_DEPTH_DB,
    LATENT_LIMITS,
    MAX_OFFSET_CENTS,
    SILENT_FINE_DB,
)

COMPONENTS: Final = 224
LEVEL_SCALE_DB: Final = 10.0  # dB per unit of a latent's first number
MIN_DEVIATION: Final = 0.01  # of the greatest: what few notes have in common is no component
BLOCK_WEIGHTS: Final = {  # of one unit, where a decibel of one cell of a partial is 1
    "slots": 0.7,
    "noise": 1.0,
    "cents": 0.5,
    "fine": 0.5,
    "offsets": 0.6,
    "stiffness": 15.0,
    "ratios": 40.0,
}

_NEPERS_PER_DB: Final = math.log(10) / 10  # of power
_FLOOR_AMPLITUDE: Final = 10 ** (-FLOOR_DEPTH_DB / 20)


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


def grid_tensors(grid: ControlGrid) -> GridTensors:
    """The same grid as tensors."""
    values = {part.name: getattr(grid, part.name) for part in fields(grid)}
    return GridTensors(**{name: torch.from_numpy(value) for name, value in values.items()})


def row_weights() -> Tensor:
    """Weights of the rows of partials, float32 (64, 1): the higher, the less one row matters."""
    numbers = torch.cat([torch.arange(SINGLES), torch.full((PARTIAL_ROWS - SINGLES,), SINGLES)])
    return (1 / (1 + numbers / 24).sqrt())[:, None]


def block_sizes() -> dict[str, int]:
    """Numbers in each block of a grid, by name."""
    return {name: math.prod(shape) for name, shape in GRID_SHAPES.items()}


def peak_level(grid: GridTensors) -> Tensor:
    """Level of the loudest frame, dB, float32 (n,)."""
    tones = torch.cat([grid.partials, grid.slots], dim=1)
    power = torch.exp(tones * _NEPERS_PER_DB).sum(dim=1)  # twice a sine's mean square …
    noise = torch.exp(grid.noise * _NEPERS_PER_DB).sum(dim=1) * 2  # … and so of the noise
    loudest = torch.maximum(power.amax(dim=1), noise.amax(dim=1))
    return 10 * loudest.clamp_min(1e-12).log10()


def to_features(grid: GridTensors, level: Tensor) -> Tensor:
    """Weighted numbers of a grid, float32 (n, 9321), levels relative to ``level``, dB (n,)."""

    def relative(rows: Tensor) -> Tensor:
        amplitude = torch.exp((rows - level[:, None, None]) * (_NEPERS_PER_DB / 2))
        return 20 * (amplitude + _FLOOR_AMPLITUDE).log10()

    blocks = {
        "partials": relative(grid.partials),
        "slots": relative(grid.slots),
        "noise": relative(grid.noise),
        "cents": grid.cents.clamp(-LATENT_LIMITS.cents, LATENT_LIMITS.cents),
        "fine": torch.where(grid.fine <= SILENT_FINE_DB, 0, grid.fine).clamp(*FINE_RANGE_DB),
        "offsets": grid.offsets.clamp(-MAX_OFFSET_CENTS, MAX_OFFSET_CENTS),
        "stiffness": grid.stiffness,
        "ratios": grid.ratios.clamp(*LATENT_LIMITS.ratios).log2(),
    }
    return weighted_blocks(GridTensors(**blocks))


def weighted_blocks(blocks: GridTensors) -> Tensor:
    """Blocks side by side, each times its weight, float32 (n, 9321)."""
    parts = blocks._asdict()
    parts["partials"] = blocks.partials * row_weights().to(blocks.partials.device)
    weighted = [
        BLOCK_WEIGHTS.get(name, 1.0) * part.reshape(part.shape[0], -1)
        for name, part in parts.items()
    ]
    return torch.cat(weighted, dim=1)


def from_features(features: Tensor, level: Tensor) -> GridTensors:
    """Grid of weighted numbers (n, 9321); the inverse of `to_features` above the soft floor."""
    sizes = block_sizes()
    blocks = dict(zip(sizes, torch.split(features, list(sizes.values()), dim=1), strict=True))

    def absolute(name: str, rows: int, frames: int) -> Tensor:
        values = torch.unflatten(blocks[name], 1, (rows, frames)) / BLOCK_WEIGHTS.get(name, 1.0)
        if name == "partials":
            values = values / row_weights().to(level.device)
        values = values.clamp(-FLOOR_DEPTH_DB - 20.0, LATENT_LIMITS.level)
        amplitude = torch.exp(values * (_NEPERS_PER_DB / 2)) - _FLOOR_AMPLITUDE
        decibels = 20 * amplitude.clamp_min(10 ** (SILENCE_DB / 20)).log10()
        return (decibels + level[:, None, None]).clamp_min(SILENCE_DB)

    return GridTensors(
        partials=absolute("partials", PARTIAL_ROWS, GRID_FRAMES),
        slots=absolute("slots", *GRID_SHAPES["slots"]),
        noise=absolute("noise", GRID_SHAPES["noise"][0], GRID_NOISE_FRAMES),
        cents=blocks["cents"] / BLOCK_WEIGHTS["cents"],
        fine=blocks["fine"] / BLOCK_WEIGHTS["fine"],
        offsets=blocks["offsets"] / BLOCK_WEIGHTS["offsets"],
        stiffness=(blocks["stiffness"] / BLOCK_WEIGHTS["stiffness"])[:, 0],
        ratios=torch.exp2(blocks["ratios"] / BLOCK_WEIGHTS["ratios"]),
    )


class Codec(nn.Module):
    """Control grids ↔ latents.

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
        """A codec of the right sizes, to load weights into."""
        size = sum(block_sizes().values())
        return cls(torch.zeros(size), torch.zeros(size, components), torch.ones(components))

    def encode(self, grid: GridTensors) -> Tensor:
        """Latents, float32 (n, 1 + components)."""
        level = peak_level(grid)
        values = ((to_features(grid, level) - self.mean) @ self.basis) / self.deviation
        return torch.cat([level[:, None] / LEVEL_SCALE_DB, values], dim=1)

    def decode(self, latents: Tensor) -> GridTensors:
        """Control grids of latents (n, 1 + components)."""
        features = self.mean + (latents[:, 1:] * self.deviation) @ self.basis.T
        return from_features(features, latents[:, 0] * LEVEL_SCALE_DB)


@torch.no_grad()
def fit_codec(
    batches: Iterable[GridTensors], components: int = COMPONENTS, seed: int = 0
) -> tuple[Codec, Tensor]:
    """Find the principal components of notes.

    Args:
        batches: all notes to learn from.
        components: how many; fewer if there are fewer notes.
        seed: of the random projections.

    Returns:
        The codec, and the latents of the notes, float32 (n, 1 + components).
    """
    levels, rows = [], []
    for batch in batches:
        level = peak_level(batch)
        levels.append(level)
        rows.append(to_features(batch, level).half())  # half the memory
    features = torch.cat(rows).float()
    rows.clear()
    mean = features.mean(dim=0)
    features -= mean
    components = min(components, *features.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, _, basis = torch.svd_lowrank(features, q=min(components + 16, *features.shape), niter=3)
    basis = basis[:, :components].contiguous()
    values = features @ basis
    deviation = values.std(dim=0)
    deviation = deviation.clamp_min(MIN_DEVIATION * float(deviation.max()))
    latents = torch.cat([torch.cat(levels)[:, None] / LEVEL_SCALE_DB, values / deviation], dim=1)
    return Codec(mean, basis, deviation), latents
