"""Critics for comparison: the plan of the article to the letter, and the plain form after it.

    article    the article's pitch detector, trained, listens to raw audio; a head of one number in
               the place of its 128 pitches, projected on what was asked for, and all of it learns
    detector   a classifier of family × key with one more class, "generated" (Salimans et al.,
               "Improved techniques for training GANs", 2016; Odena, "Semi-supervised learning with
               generative adversarial networks", 2016), on what the ears' front end hears

With p the softmax over the classes, c those that were asked for and g "generated", the detector and
the generator that it criticises learn

    detector    −log p_c(real) − log p_g(fake) + γ/2 · (‖∇s(real)‖² + ‖∇s(fake)‖²)
    generator   −log p_c(fake)                         s = log p_c − log p_g
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.imagining.training.critics.make import (
    CONDITION_FEATURES,
    Critic,
    NoteBatch,
    condition_features,
)
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.losses import gradient_penalty
from mechanical_ears.imagining.training.networks import LEAKING, Condition
from mechanical_ears.listening.article_ears import SHIPPED_ARTICLE
from mechanical_ears.listening.frontend import (
    BINS,
    ENVELOPE_BANDS,
    ENVELOPE_FRAMES,
    PITCH_FRAMES,
)
from mechanical_ears.listening.training.article_network import CHANNELS, HIDDEN, ArticleNetwork
from mechanical_ears.note import FAMILIES, HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.resynthesis.control_grid import GRID_FRAMES, GRID_NOISE_FRAMES
from mechanical_ears.resynthesis.differentiable.control_map_batch import ControlMapBatch, grid_batch
from mechanical_ears.resynthesis.differentiable.magnitude import MagnitudeRender
from mechanical_ears.resynthesis.differentiable.waveform import Waveform

LOWEST_KEY, KEYS = 21, 88  # MIDI number of the first class, and how many; others are the nearest
CLASSES: Final = len(FAMILIES) * KEYS  # and one more, "generated"


def make(name: str, codec: Codec) -> Critic:
    """The critic ``article`` or ``detector``.

    Args:
        name: which.
        codec: of the codes that it judges.
    """
    return ArticleCritic(codec, load_article()) if name == "article" else DetectorCritic(codec)


class ArticleScorer(nn.Module):
    """The article's network with a head of one number.

    Attributes:
        draws: how often phases were drawn, which checkpoints keep.
    """

    draws: Tensor

    def __init__(self, network: ArticleNetwork) -> None:
        super().__init__()
        network.pitch = nn.Identity()  # type: ignore[assignment]
        self.network = network
        self.leave = nn.Linear(HIDDEN, 1)
        self.project = nn.Linear(CONDITION_FEATURES, HIDDEN, bias=False)
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, audio: Tensor, asked: Tensor) -> Tensor:
        """(n, 64000), (n, 32) → (n,)."""
        heard = self.network(audio)  # (n, 512)
        projected = (heard * self.project(asked)).mean(dim=1)
        return cast("Tensor", self.leave(heard)[:, 0] + projected)


class ArticleCritic(Critic):
    """The article's pitch detector: listens to the waveform.

    Real notes are rendered from their codes as imagined ones are, with the same phases, so that it
    is not the renderer that it learns to tell.
    """

    name = "article"
    notes = 8
    gamma = 0.1

    def __init__(self, codec: Codec, network: ArticleNetwork) -> None:
        super().__init__()
        self.codec = codec
        self.render = Waveform()
        self.scorer = ArticleScorer(network)

    def learner(self) -> nn.Module:
        """The network, whole."""
        return self.scorer

    def view(self, played: NoteBatch) -> Tensor:
        """Sound, (n, 64000)."""
        lots = torch.Generator().manual_seed(int(self.scorer.draws))
        return cast("Tensor", self.render(_maps(self.codec, played), lots))

    def score(self, views: Tensor, asked: Condition) -> Tensor:
        """See `Critic.score`."""
        return cast("Tensor", self.scorer(views, condition_features(asked)))

    def own_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """See `Critic.own_loss`; phases are drawn anew."""
        self.scorer.draws += 1
        return super().own_loss(real, fake)


class Classifier(nn.Module):
    """What the front end hears → logits of family × key, and of "generated"."""

    def __init__(self) -> None:
        super().__init__()
        self.pitch = nn.Sequential(
            nn.Conv2d(1, 16, (3, 5), (2, 1), (1, 2)),
            nn.LeakyReLU(LEAKING),
            nn.Conv2d(16, 24, (3, 3), (2, 3), (1, 0)),
            nn.LeakyReLU(LEAKING),
            nn.Conv2d(24, 24, (6, 1)),
            nn.LeakyReLU(LEAKING),
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
        heard = self.pitch(pitch_map.reshape(-1, 1, PITCH_FRAMES, BINS))
        heard = torch.cat([heard, self.envelope(envelope), level], dim=1)
        heard = self.hidden(functional.leaky_relu(heard, LEAKING))
        return cast("Tensor", self.leave(functional.leaky_relu(heard, LEAKING)))


class DetectorCritic(Critic):
    """A pitch and family detector that knows one more class, of what is generated."""

    name = "detector"
    notes = 64
    gamma = 0.1

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.render = MagnitudeRender(NOTE_SECONDS, HOLD_SECONDS, GRID_FRAMES, GRID_NOISE_FRAMES)
        self.classifier = Classifier()

    def learner(self) -> nn.Module:
        """The classifier."""
        return self.classifier

    def view(self, played: NoteBatch) -> Tensor:
        """Pitch map, envelope and level, side by side (n, 8353)."""
        heard = self.render(_maps(self.codec, played))
        return torch.cat([part.flatten(1) for part in (*heard[:2], heard[2][:, None])], dim=1)

    def score(self, views: Tensor, asked: Condition) -> Tensor:
        """By how much what was asked for is likelier than "generated", in nepers."""
        told = self._told(views)
        return _of_asked(told, asked) - told[:, -1]

    def own_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """That real notes are what they are, and generated ones are "generated"."""
        with torch.no_grad():
            seen_real, seen_fake = self.view(real), self.view(fake)
        real_told = self._told(seen_real.requires_grad_())
        fake_told = self._told(seen_fake.requires_grad_())
        right_of_real = _of_asked(real_told, real.asked)
        right_of_fake = _of_asked(fake_told, fake.asked)
        penalty = gradient_penalty(right_of_real - real_told[:, -1], seen_real)
        penalty = penalty + gradient_penalty(right_of_fake - fake_told[:, -1], seen_fake)
        return -right_of_real.mean() - fake_told[:, -1].mean() + self.gamma / 2 * penalty

    def generators_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """That generated notes are heard as what was asked for."""
        return -_of_asked(self._told(self.view(fake)), fake.asked).mean()

    def _told(self, views: Tensor) -> Tensor:
        return cast("Tensor", self.classifier(views).log_softmax(dim=1))


def _of_asked(told: Tensor, asked: Condition) -> Tensor:
    """Logarithms of the probabilities of what was asked for, mean over its families, (n,)."""
    key = (asked.pitch.round().long() - LOWEST_KEY).clamp(0, KEYS - 1)
    classes = told[:, :CLASSES].reshape(-1, len(FAMILIES), KEYS)
    at_key = classes.take_along_dim(key[:, None, None], dim=2)[:, :, 0]
    return (at_key * asked.family).sum(dim=1)


def _maps(codec: Codec, played: NoteBatch) -> ControlMapBatch:
    told = codec.decode(played.codes)._asdict()
    del told["cents"]  # vibrato is neither shown nor played
    return grid_batch(**told, pitch=played.asked.pitch)


def load_article() -> ArticleNetwork:
    """The article's network as it was trained, for others to train on."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(SHIPPED_ARTICLE)
    held = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    arrays = []
    for number in range(len(CHANNELS)):
        layer = f"convolution_{number + 1}"
        arrays += [held[f"{layer}_weight"].T, held[f"{layer}_bias"]]
    for layer in ("hidden", "pitch"):
        arrays += [held[f"{layer}_weight_half"], held[f"{layer}_bias"]]
    return ArticleNetwork.from_keras([each.copy() for each in arrays], fused=False)
