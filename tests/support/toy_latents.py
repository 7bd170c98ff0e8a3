"""Outlines and codes for tests: plucked strings, each a little different in known ways."""

from __future__ import annotations

import numpy as np
import torch

from mechanical_ears.imagining.training.critics.make import NoteBatch
from mechanical_ears.imagining.training.latents import GridTensors, fit_codec
from mechanical_ears.imagining.training.networks import Condition
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from support.toy_model import plucked


def strings(count: int) -> GridTensors:
    """So many times the same plucked string."""
    fields = {name: np.stack([value] * count) for name, value in plucked().items()}
    return GridTensors(
        **{name: torch.from_numpy(value.astype(np.float32)) for name, value in fields.items()}
    )


def various(count: int, rank: int, seed: int = 0) -> GridTensors:
    """Strings whose offsets and moving pitch lie in a space of so many dimensions."""
    lots = torch.Generator().manual_seed(seed)
    same = strings(count)
    where = torch.randn(count, rank, generator=lots)
    offsets = torch.randn(rank, *GRID_SHAPES["offsets"], generator=lots)
    cents = torch.randn(rank, *GRID_SHAPES["cents"], generator=lots)
    return same._replace(offsets=10 * where @ offsets, cents=2 * where @ cents)


def toy_codec(components: int = 12):
    """A codec of strings that differ in the levels of their partials and their noise."""
    lots = torch.Generator().manual_seed(1)
    many = strings(64)
    partials = many.partials + 4 * torch.randn(64, 64, 1, generator=lots).clamp(-2, 2)
    noise = many.noise + 4 * torch.randn(64, 1, 1, generator=lots).clamp(-2, 2)
    return fit_codec([many._replace(partials=partials, noise=noise)], components)


def played(codes: torch.Tensor) -> NoteBatch:
    """Codes as pairs of notes of a few families, keys and velocities."""
    count = len(codes)
    pairs = torch.arange(count) // 2
    return NoteBatch(
        codes,
        Condition(
            48.0 + 7.0 * (torch.arange(count) % 5),
            torch.tensor([50.0, 100.0]).repeat(count)[:count],
            torch.eye(len(FAMILIES))[pairs % 3],
        ),
    )
