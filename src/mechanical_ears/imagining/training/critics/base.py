"""What every critic is: an interface, the notes that it judges, and a scoring network.

A critic takes a *view* of notes (latents, features of the trained ears, audio), through which
gradients pass to the generator, and scores the view given the condition: family, key and velocity
(projection: Miyato and Koyama, "cGANs with projection discriminator", 2018).
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.imagining.training import losses
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import (
    LEAKY_SLOPE,
    PITCH_FEATURES,
    VELOCITY_FEATURES,
    Condition,
    pitch_features,
    velocity_features,
)
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import GRID_FRAMES, GRID_NOISE_FRAMES
from mechanical_ears.resynthesis.differentiable.control_map_batch import ControlMapBatch, grid_batch
from mechanical_ears.resynthesis.differentiable.magnitude import MagnitudeFeatures, MagnitudeRender

CONDITION_FEATURES: Final = PITCH_FEATURES + VELOCITY_FEATURES + len(FAMILIES)


class NoteBatch(NamedTuple):
    """Notes for critics; notes 2k and 2k + 1 are of the same instrument.

    Attributes:
        latents: float32 (n, 1 + components), see `latents`.
        condition: family, key and velocity of the same notes.
    """

    latents: Tensor
    condition: Condition

    def subset(self, max_notes: int) -> NoteBatch:
        """At most ``max_notes`` notes, spread over the whole batch; pairs stay together."""
        if max_notes >= len(self.latents):
            return self
        step = len(self.latents) // max_notes
        pairs = torch.arange(0, len(self.latents) // 2, step)[: max_notes // 2]
        rows = (2 * pairs[:, None] + torch.arange(2)).flatten().to(self.latents.device)
        return NoteBatch(self.latents[rows], Condition(*(part[rows] for part in self.condition)))


def condition_features(condition: Condition) -> Tensor:
    """Condition as network input, float32 (n, 32)."""
    return torch.cat(
        [pitch_features(condition.pitch), velocity_features(condition.velocity), condition.family],
        dim=1,
    )


def decode_batch(codec: Codec, batch: NoteBatch) -> ControlMapBatch:
    """Control maps of notes, through which gradients pass; without movement of the pitch."""
    grid = codec.decode(batch.latents)._asdict()
    del grid["cents"]
    return grid_batch(**grid, pitch=batch.condition.pitch)


class FeatureRender(nn.Module):
    """Latents → what the front end of the ears extracts, through which gradients pass."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.render = MagnitudeRender(GRID_FRAMES, GRID_NOISE_FRAMES)

    def forward(self, batch: NoteBatch) -> MagnitudeFeatures:
        """Features of n notes."""
        return cast("MagnitudeFeatures", self.render(decode_batch(self.codec, batch)))


class Scorer(nn.Module):
    """Score of views given conditions: a residual network with a projection.

    Args:
        inputs: numbers of a view.
        condition: numbers of a condition.
        hidden: units.
    """

    def __init__(self, inputs: int, condition: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs + condition, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden), nn.LeakyReLU(LEAKY_SLOPE), nn.Linear(hidden, hidden)
            )
            for _ in range(2)
        )
        self.leave = nn.Linear(hidden, 1)
        self.project = nn.Linear(condition, hidden, bias=False)

    def forward(self, views: Tensor, condition: Tensor) -> Tensor:
        """(n, inputs), (n, condition) → (n,)."""
        features = self.enter(torch.cat([views, condition], dim=1))
        for block in self.blocks:
            features = features + block(functional.leaky_relu(features, LEAKY_SLOPE))
        features = functional.leaky_relu(features, LEAKY_SLOPE)
        projected = (features * self.project(condition)).mean(dim=1)
        return cast("Tensor", self.leave(features)[:, 0] + projected)


class Critic(nn.Module):
    """One critic; subclasses define what it views, and have a ``scorer`` or their own `score`.

    Attributes:
        name: on the command line.
        max_notes: notes of a batch that it judges.
        interval: steps from one of its turns to the next.
        weight: of its loss in the generator's.
        gamma: γ, weight of its gradient penalty.
    """

    name: str = ""
    max_notes: int = 1 << 30
    interval: int = 1
    weight: float = 1.0
    gamma: float = 1.0
    scorer: nn.Module

    def trainable(self) -> nn.Module:
        """The part that learns, which checkpoints keep; by default all of it."""
        return self

    def view(self, batch: NoteBatch) -> Tensor:
        """What the critic judges of notes, (n, …)."""
        raise NotImplementedError

    def score(self, views: Tensor, condition: Condition) -> Tensor:
        """Scores of views, (n,); the greater, the more real.

        A view of several notes is scored given all of their conditions.
        """
        features = condition_features(condition).reshape(len(views), -1)
        return cast("Tensor", self.scorer(views, features))

    def critic_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """Loss of the critic itself on real and generated notes of the same conditions."""
        with torch.no_grad():
            real_views, fake_views = self.view(real), self.view(fake)
        real_views.requires_grad_()
        fake_views.requires_grad_()
        real_scores = self.score(real_views, real.condition)
        fake_scores = self.score(fake_views, fake.condition)
        penalty = losses.gradient_penalty(real_scores, real_views)
        penalty = penalty + losses.gradient_penalty(fake_scores, fake_views)
        return losses.relativistic_critic_loss(real_scores, fake_scores) + self.gamma / 2 * penalty

    def generator_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """Loss of the generator by this critic, unweighted."""
        with torch.no_grad():
            real_scores = self.score(self.view(real), real.condition)
        fake_scores = self.score(self.view(fake), fake.condition)
        return losses.relativistic_generator_loss(real_scores, fake_scores)
