"""The critic of pairs of latents: can these be two notes of one instrument?"""

from __future__ import annotations

from mechanical_ears.imagining.training.critics.latent import LatentCritic


class PairCritic(LatentCritic):
    """Judges the latents of two notes at a time."""

    name = "pair"
    group = 2
