"""Losses of generator, encoder and critics.

Relativistic pairing (Jolicoeur-Martineau, "The relativistic discriminator", 2019) with a penalty on
the critic's gradients at real and at generated notes (Mescheder et al., "Which training methods for
GANs do actually converge?", 2018), which together need no tricks (Huang et al., "The GAN is dead;
long live the GAN! A modern GAN baseline", 2024):

    critic      softplus(D(fake) − D(real)) + γ/2 · (‖∇D(real)‖² + ‖∇D(fake)‖²)
    generator   softplus(D(real) − D(fake))

Reconstruction of latents x with the standard deviations σ of their C components, c cells in a
control grid, level L and the scale s of critics' views (`critics.latent.view_scale`):

    0.3 · (mean √(Σ (σ Δx)² / c + 0.001) + ¼ · mean |ΔL|) + 0.5 · mean (s Δx)²          ΔL: dB

Random timbres are pulled towards those of known instruments as a set, along random directions
(Bonneel et al., "Sliced and Radon Wasserstein barycenters of measures", 2015); no single one to a
single other.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from mechanical_ears.imagining.training.latents import LEVEL_SCALE_DB, Codec

DIRECTIONS: Final = 64  # along which sets are compared
RECONSTRUCTION_WEIGHT: Final = 0.3  # per decibel of difference
VIEW_WEIGHT: Final = 0.5  # of the squared difference as critics see it


def relativistic_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Critic's loss of its scores (n,) of real and generated notes of the same conditions."""
    return functional.softplus(fake - real).mean()


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Generator's loss of the same scores."""
    return functional.softplus(real - fake).mean()


def gradient_penalty(scores: Tensor, views: Tensor) -> Tensor:
    """Mean squared gradient of scores (n,) with respect to the critic's views (n, …)."""
    (gradient,) = torch.autograd.grad(scores.sum(), views, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


def reconstruction_loss(latents: Tensor, targets: Tensor, codec: Codec, scale: Tensor) -> Tensor:
    """Difference of reconstructed latents from their targets, see the module.

    Args:
        latents: float32 (n, 1 + components).
        targets: the same shape.
        codec: of the latents.
        scale: of critics' views, float32 (1 + components,).
    """
    difference = latents - targets
    per_note = (difference[:, 1:] * codec.deviation).square().sum(dim=1) / len(codec.mean)
    cells = (per_note + 1e-3).sqrt().mean()
    level = difference[:, 0].abs().mean() * LEVEL_SCALE_DB
    viewed = (difference * scale)[:, 1:].square().mean()
    return RECONSTRUCTION_WEIGHT * (cells + 0.25 * level) + VIEW_WEIGHT * viewed


def sliced_distance(first: Tensor, second: Tensor, rng: torch.Generator) -> Tensor:
    """Mean squared distance of two sets (n, numbers), sorted along random directions."""
    lines = torch.randn(first.shape[1], DIRECTIONS, generator=rng).to(first.device)
    lines = functional.normalize(lines, dim=0)
    projected = [(each @ lines).sort(dim=0).values for each in (first, second)]
    return (projected[0] - projected[1]).square().mean() * first.shape[1]
