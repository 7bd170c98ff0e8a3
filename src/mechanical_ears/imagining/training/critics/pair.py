"""The critic of pairs of latents: can these be two notes of one instrument?"""

from __future__ import annotations

from typing import cast

from torch import Tensor

from mechanical_ears.imagining.training.critics.base import (
    CONDITION_FEATURES,
    Critic,
    NoteBatch,
    Scorer,
    condition_features,
)
from mechanical_ears.imagining.training.critics.latent import scale_latents, view_scale
from mechanical_ears.imagining.training.networks import Condition


class PairCritic(Critic):
    """Judges the latents of two notes at a time."""

    name = "pair"
    scale: Tensor

    def __init__(self, deviation: Tensor, hidden: int = 384) -> None:
        super().__init__()
        self.register_buffer("scale", view_scale(deviation), persistent=False)
        self.scorer = Scorer(2 * (1 + len(deviation)), 2 * CONDITION_FEATURES, hidden)

    def view(self, batch: NoteBatch) -> Tensor:
        """Scaled latents of both notes, (n / 2, 2 + 2 · components)."""
        latents = scale_latents(batch.latents, self.scale)
        return latents.reshape(len(latents) // 2, -1)

    def score(self, views: Tensor, condition: Condition) -> Tensor:
        """Scores of pairs, (n / 2,)."""
        features = condition_features(condition)
        return cast("Tensor", self.scorer(views, features.reshape(len(features) // 2, -1)))
