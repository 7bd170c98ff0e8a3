"""A detector as critic, for comparison: a classifier of family × key with a class "generated".

It judges the features of the ears' front end (Salimans et al., "Improved techniques for training
GANs", 2016; Odena, "Semi-supervised learning with generative adversarial networks", 2016). With p
the softmax over the classes, c those of the condition and g "generated", the losses are

    detector    −log p_c(real) − log p_g(fake) + γ/2 · (‖∇s(real)‖² + ‖∇s(fake)‖²)
    generator   −log p_c(fake)                         s = log p_c − log p_g
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.imagining.training.critics.base import Critic, FeatureRender, NoteBatch
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.losses import gradient_penalty
from mechanical_ears.imagining.training.networks import LEAKY_SLOPE, Condition
from mechanical_ears.listening.frontend import BINS, ENVELOPE_BANDS, ENVELOPE_FRAMES, PITCH_FRAMES
from mechanical_ears.note import FAMILIES

MIN_KEY: Final = 21  # MIDI number of the first class; keys outside the range get the nearest class
KEYS: Final = 88
CLASSES: Final = len(FAMILIES) * KEYS  # and one more, "generated"


class Classifier(nn.Module):
    """Front-end features → logits of family × key, and of "generated"."""

    def __init__(self) -> None:
        super().__init__()
        self.pitch = nn.Sequential(
            nn.Conv2d(1, 16, (3, 5), (2, 1), (1, 2)),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(16, 24, (3, 3), (2, 3), (1, 0)),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(24, 24, (6, 1)),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Flatten(),
            nn.Linear(24 * (BINS // 3), 256),
        )
        self.envelope = nn.Linear(ENVELOPE_FRAMES * ENVELOPE_BANDS, 128)
        self.hidden = nn.Linear(256 + 128 + 1, 384)
        self.leave = nn.Linear(384, CLASSES + 1)

    def forward(self, views: Tensor) -> Tensor:
        """(n, 8353) → (n, 969)."""
        sizes = [PITCH_FRAMES * BINS, ENVELOPE_FRAMES * ENVELOPE_BANDS, 1]
        pitch_map, envelope, level = torch.split(views, sizes, dim=1)
        features = self.pitch(pitch_map.reshape(-1, 1, PITCH_FRAMES, BINS))
        features = torch.cat([features, self.envelope(envelope), level], dim=1)
        features = self.hidden(functional.leaky_relu(features, LEAKY_SLOPE))
        return cast("Tensor", self.leave(functional.leaky_relu(features, LEAKY_SLOPE)))


class DetectorCritic(Critic):
    """Judges front-end features by the classes of `Classifier`."""

    name = "detector"
    max_notes = 64
    gamma = 0.1

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.render = FeatureRender(codec)
        self.classifier = Classifier()

    def trainable(self) -> nn.Module:
        """The classifier."""
        return self.classifier

    def view(self, batch: NoteBatch) -> Tensor:
        """Pitch map, envelope and level side by side, (n, 8353)."""
        features = self.render(batch)
        parts = (features.pitch_map, features.envelope, features.level[:, None])
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def score(self, views: Tensor, condition: Condition) -> Tensor:
        """Log odds of the condition's classes against "generated", nepers, (n,)."""
        return _score(self._log_probabilities(views), condition)

    def critic_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """Loss of the detector, see the module."""
        with torch.no_grad():
            real_views, fake_views = self.view(real), self.view(fake)
        real_logs = self._log_probabilities(real_views.requires_grad_())
        fake_logs = self._log_probabilities(fake_views.requires_grad_())
        penalty = gradient_penalty(_score(real_logs, real.condition), real_views)
        penalty = penalty + gradient_penalty(_score(fake_logs, fake.condition), fake_views)
        likelihood = _of_condition(real_logs, real.condition).mean()
        return -likelihood - fake_logs[:, -1].mean() + self.gamma / 2 * penalty

    def generator_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """Loss of the generator, see the module."""
        return -_of_condition(self._log_probabilities(self.view(fake)), fake.condition).mean()

    def _log_probabilities(self, views: Tensor) -> Tensor:
        return cast("Tensor", self.classifier(views).log_softmax(dim=1))


def _of_condition(logs: Tensor, condition: Condition) -> Tensor:
    """Log probability of the condition's key, mean over its families by their shares, (n,)."""
    key = (condition.pitch.round().long() - MIN_KEY).clamp(0, KEYS - 1)
    classes = logs[:, :CLASSES].reshape(-1, len(FAMILIES), KEYS)
    at_key = classes.take_along_dim(key[:, None, None], dim=2)[:, :, 0]
    return (at_key * condition.family).sum(dim=1)


def _score(logs: Tensor, condition: Condition) -> Tensor:
    return _of_condition(logs, condition) - logs[:, -1]
