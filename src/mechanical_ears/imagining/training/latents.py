"""Latents of notes: their control grids as a few numbers, in which networks learn quickly.

A control grid holds 9,322 numbers, most of which follow from the others. A principal component
analysis (Pearson, "On lines and planes of closest fit", 1901; by random projections, Halko et al.,
"Finding structure with randomness", 2011) keeps the directions along which notes differ most:

    x = (w ⊙ y − μ) V / σ        y ≈ (μ + (x ⊙ σ) Vᵀ) / w

with features y of the grid (see `grid_features`: levels relative to the loudest moment of the note,
with a soft floor), weights w that make its fields comparable (a decibel in one cell of a partial
counts 1), components V and their standard deviations σ. A latent is L / 10 dB, then x, with L the
level of the loudest moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, PARTIAL_ROWS, ControlGrid
from mechanical_ears.resynthesis.control_map import SILENCE_DB, SINGLES
from mechanical_ears.resynthesis.grid_features import (
    FINE_RANGE_DB,
    FLOOR_DEPTH_DB,
    LATENT_LIMITS,
    LEVEL_FIELDS,
    MAX_OFFSET_CENTS,
    SILENT_FINE_DB,
)

COMPONENTS: Final = 224
LEVEL_SCALE_DB: Final = 10.0  # dB per unit of a latent's first number
MIN_DEVIATION: Final = 0.01  # of the greatest: what few notes have in common is no component
FIELD_WEIGHTS: Final = {  # of one unit, where a decibel of one cell of a partial is 1
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
    return GridTensors(**{name: torch.from_numpy(value) for name, value in vars(grid).items()})


def row_weights() -> Tensor:
    """Weights of the rows of partials, float32 (64, 1): the higher, the less one row matters."""
    numbers = torch.cat([torch.arange(SINGLES), torch.full((PARTIAL_ROWS - SINGLES,), SINGLES)])
    return (1 / (1 + numbers / 24).sqrt())[:, None]


def field_sizes() -> dict[str, int]:
    """Numbers in each field of a grid, by name."""
    return {name: math.prod(shape) for name, shape in GRID_SHAPES.items()}


def loudest_level(grid: GridTensors) -> Tensor:
    """Level of the loudest moment, dB, float32 (n,); see `grid_features.loudest_level`."""
    tones = torch.cat([grid.partials, grid.slots], dim=1)
    power = torch.exp(tones * _NEPERS_PER_DB).sum(dim=1)
    noise = torch.exp(grid.noise * _NEPERS_PER_DB).sum(dim=1) * 2
    loudest = torch.maximum(power.amax(dim=1), noise.amax(dim=1))
    return 10 * loudest.clamp_min(10 ** (SILENCE_DB / 10)).log10()


def to_features(grid: GridTensors, level: Tensor) -> GridTensors:
    """Features of n notes: the twin of `grid_features.to_features` with `LATENT_LIMITS`.

    Args:
        grid: of n notes.
        level: of the loudest moment, dB, (n,).
    """

    def relative(levels: Tensor) -> Tensor:
        amplitude = torch.exp((levels - level[:, None, None]) * (_NEPERS_PER_DB / 2))
        return 20 * (amplitude + _FLOOR_AMPLITUDE).log10()

    fine = torch.where(grid.fine <= SILENT_FINE_DB, 0, grid.fine)
    return GridTensors(
        partials=relative(grid.partials),
        slots=relative(grid.slots),
        noise=relative(grid.noise),
        cents=grid.cents.clamp(-LATENT_LIMITS.cents, LATENT_LIMITS.cents),
        fine=fine.clamp(*FINE_RANGE_DB),
        offsets=grid.offsets.clamp(-MAX_OFFSET_CENTS, MAX_OFFSET_CENTS),
        stiffness=grid.stiffness,
        ratios=grid.ratios.clamp(*LATENT_LIMITS.ratios).log2(),
    )


def from_features(features: GridTensors, level: Tensor) -> GridTensors:
    """Grid of features; the inverse of `to_features` within the limits."""

    def absolute(relative: Tensor) -> Tensor:
        relative = relative.clamp(-FLOOR_DEPTH_DB - 20.0, LATENT_LIMITS.level)
        amplitude = torch.exp(relative * (_NEPERS_PER_DB / 2)) - _FLOOR_AMPLITUDE
        decibels = 20 * amplitude.clamp_min(10 ** (SILENCE_DB / 20)).log10()
        return (decibels + level[:, None, None]).clamp_min(SILENCE_DB)

    levels = {name: absolute(getattr(features, name)) for name in LEVEL_FIELDS}
    return features._replace(**levels, ratios=torch.exp2(features.ratios))


def to_vector(features: GridTensors) -> Tensor:
    """Fields side by side, each times its weight, float32 (n, 9321)."""
    fields = features._asdict()
    fields["partials"] = features.partials * row_weights().to(features.partials.device)
    weighted = [
        FIELD_WEIGHTS.get(name, 1.0) * values.reshape(values.shape[0], -1)
        for name, values in fields.items()
    ]
    return torch.cat(weighted, dim=1)


def from_vector(vector: Tensor) -> GridTensors:
    """Features of weighted numbers (n, 9321); the inverse of `to_vector`."""
    sizes = field_sizes()
    pieces = zip(sizes, torch.split(vector, list(sizes.values()), dim=1), strict=True)
    fields = {
        name: piece.reshape(-1, *GRID_SHAPES[name]) / FIELD_WEIGHTS.get(name, 1.0)
        for name, piece in pieces
    }
    fields["partials"] = fields["partials"] / row_weights().to(vector.device)
    return GridTensors(**fields)


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
        size = sum(field_sizes().values())
        return cls(torch.zeros(size), torch.zeros(size, components), torch.ones(components))

    def encode(self, grid: GridTensors) -> Tensor:
        """Latents, float32 (n, 1 + components)."""
        level = loudest_level(grid)
        vector = to_vector(to_features(grid, level))
        values = ((vector - self.mean) @ self.basis) / self.deviation
        return torch.cat([level[:, None] / LEVEL_SCALE_DB, values], dim=1)

    def decode(self, latents: Tensor) -> GridTensors:
        """Control grids of latents (n, 1 + components)."""
        vector = self.mean + (latents[:, 1:] * self.deviation) @ self.basis.T
        return from_features(from_vector(vector), latents[:, 0] * LEVEL_SCALE_DB)


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
        level = loudest_level(batch)
        levels.append(level)
        rows.append(to_vector(to_features(batch, level)).half())  # half the memory
    vectors = torch.cat(rows).float()
    rows.clear()
    mean = vectors.mean(dim=0)
    vectors -= mean
    components = min(components, *vectors.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, _, basis = torch.svd_lowrank(vectors, q=min(components + 16, *vectors.shape), niter=3)
    basis = basis[:, :components].contiguous()
    values = vectors @ basis
    deviation = values.std(dim=0)
    deviation = deviation.clamp_min(MIN_DEVIATION * float(deviation.max()))
    latents = torch.cat([torch.cat(levels)[:, None] / LEVEL_SCALE_DB, values / deviation], dim=1)
    return Codec(mean, basis, deviation), latents
