"""Control grids and latents for tests: plucked strings that differ in known ways."""

from __future__ import annotations

import numpy as np
import torch

from mechanical_ears.imagining.training.critics.base import NoteBatch
from mechanical_ears.imagining.training.latents import Codec, GridTensors, fit_codec
from mechanical_ears.imagining.training.networks import Condition
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from support.toy_model import plucked


def strings(count: int) -> GridTensors:
    """``count`` times the same plucked string."""
    fields = {name: np.stack([value] * count) for name, value in plucked().items()}
    return GridTensors(
        **{name: torch.from_numpy(value.astype(np.float32)) for name, value in fields.items()}
    )


def random_strings(count: int, rank: int, seed: int = 0) -> GridTensors:
    """Strings whose offsets and moving pitch vary in a space of ``rank`` dimensions."""
    rng = torch.Generator().manual_seed(seed)
    coordinates = torch.randn(count, rank, generator=rng)
    offsets = torch.randn(rank, *GRID_SHAPES["offsets"], generator=rng)
    cents = torch.randn(rank, *GRID_SHAPES["cents"], generator=rng)
    return strings(count)._replace(
        offsets=10 * coordinates @ offsets, cents=2 * coordinates @ cents
    )


def toy_codec(components: int = 12) -> tuple[Codec, torch.Tensor]:
    """Codec and latents of strings that differ in the levels of their partials and their noise."""
    rng = torch.Generator().manual_seed(1)
    grid = strings(64)
    partials = grid.partials + 4 * torch.randn(64, 64, 1, generator=rng).clamp(-2, 2)
    noise = grid.noise + 4 * torch.randn(64, 1, 1, generator=rng).clamp(-2, 2)
    return fit_codec([grid._replace(partials=partials, noise=noise)], components)


def note_batch(latents: torch.Tensor) -> NoteBatch:
    """Latents as pairs of notes with a few families, keys and velocities."""
    count = len(latents)
    pairs = torch.arange(count) // 2
    return NoteBatch(
        latents,
        Condition(
            48.0 + 7.0 * (torch.arange(count) % 5),
            torch.tensor([50.0, 100.0]).repeat(count)[:count],
            torch.eye(len(FAMILIES))[pairs % 3],
        ),
    )
