"""The losses of the game between generator and critics.

Relativistic pairing (Jolicoeur-Martineau, "The relativistic discriminator", 2019) with a penalty on
the critic's gradients at real and at generated notes (Mescheder et al., "Which training methods for
GANs do actually converge?", 2018), which together need no tricks (Huang et al., "The GAN is dead;
long live the GAN! A modern GAN baseline", 2024):

    critic      softplus(D(fake) − D(real)) + γ/2 · (‖∇D(real)‖² + ‖∇D(fake)‖²)
    generator   softplus(D(real) − D(fake))

Timbres by lot are drawn to those of known instruments along random directions (Bonneel et al.,
"Sliced and Radon Wasserstein barycenters of measures", 2015); no single one to a single other.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

DIRECTIONS: Final = 64  # along which sets are compared


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Of scores (n,) of real and generated notes asked for alike."""
    return functional.softplus(fake - real).mean()


def generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Of the same scores."""
    return functional.softplus(real - fake).mean()


def gradient_penalty(scores: Tensor, views: Tensor) -> Tensor:
    """Mean squared gradient of scores (n,) by what the critic looked at (n, …)."""
    (gradient,) = torch.autograd.grad(scores.sum(), views, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


def sliced_distance(first: Tensor, second: Tensor, lots: torch.Generator) -> Tensor:
    """Mean squared distance of two sets (n, numbers) in order along random directions."""
    lines = torch.randn(first.shape[1], DIRECTIONS, generator=lots).to(first.device)
    lines = functional.normalize(lines, dim=0)
    ordered = [(each @ lines).sort(dim=0).values for each in (first, second)]
    return (ordered[0] - ordered[1]).square().mean() * first.shape[1]
