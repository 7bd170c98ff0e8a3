"""The critic of single latents: can a note of this family, key and velocity have this one?"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from mechanical_ears.imagining.training.critics import base
from mechanical_ears.imagining.training.critics.base import Critic, NoteBatch, Scorer

WHITENING: Final = 0.5  # exponent of the deviations by which latents are scaled for critics


class LatentCritic(Critic):
    """Judges latents.

    Attributes:
        group: notes that are judged together.
    """

    name = "latent"
    group = 1
    scale: Tensor

    def __init__(self, deviation: Tensor, hidden: int = 384) -> None:
        super().__init__()
        self.register_buffer("scale", view_scale(deviation), persistent=False)
        inputs, conditions = self.group * (1 + len(deviation)), self.group * base.CONDITION_FEATURES
        self.scorer = Scorer(inputs, conditions, hidden)

    def view(self, batch: NoteBatch) -> Tensor:
        """Scaled latents, (n / group, group · (1 + components))."""
        latents = scale_latents(batch.latents, self.scale)
        return latents.reshape(len(latents) // self.group, -1)


def view_scale(deviation: Tensor) -> Tensor:
    """Factors of a latent's numbers for critics, float32 (1 + components,).

    Between latents as they are, in which every component counts alike, and decibels, in which the
    last components are inaudible.
    """
    scale = (deviation / deviation.square().mean().sqrt()) ** WHITENING
    return torch.cat([torch.ones(1, device=deviation.device), scale])


def scale_latents(latents: Tensor, scale: Tensor) -> Tensor:
    """Latents (n, 1 + components) by ``scale``; the level centred at 0."""
    return torch.cat([latents[:, :1] + 2, latents[:, 1:]], dim=1) * scale
