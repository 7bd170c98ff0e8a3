"""The article's critic, for comparison: its pitch detector, trained, listens to raw audio.

A head of one number, projected on the condition, replaces the 128 pitches; all of it learns.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from mechanical_ears.imagining.training.critics import base
from mechanical_ears.imagining.training.critics.base import Critic, NoteBatch
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.listening.article_ears import SHIPPED_ARTICLE
from mechanical_ears.listening.training.article_network import CHANNELS, HIDDEN, ArticleNetwork
from mechanical_ears.resynthesis.differentiable.waveform import Waveform


class ArticleScorer(nn.Module):
    """The article's network with a head of one number.

    Attributes:
        draws: number of times that phases were drawn; kept in checkpoints.
    """

    draws: Tensor

    def __init__(self, network: ArticleNetwork) -> None:
        super().__init__()
        network.pitch = nn.Identity()  # type: ignore[assignment]
        self.network = network
        self.leave = nn.Linear(HIDDEN, 1)
        self.project = nn.Linear(base.CONDITION_FEATURES, HIDDEN, bias=False)
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, audio: Tensor, condition: Tensor) -> Tensor:
        """(n, 64000), (n, 32) → (n,)."""
        features = self.network(audio)  # (n, 512)
        projected = (features * self.project(condition)).mean(dim=1)
        return cast("Tensor", self.leave(features)[:, 0] + projected)


class ArticleCritic(Critic):
    """Judges audio.

    Real notes are rendered from their latents as generated ones are, with the same phases, so that
    the critic cannot learn to detect the renderer.
    """

    name = "article"
    max_notes = 8
    gamma = 0.1
    scorer: ArticleScorer

    def __init__(self, codec: Codec, network: ArticleNetwork) -> None:
        super().__init__()
        self.codec = codec
        self.render = Waveform()
        self.scorer = ArticleScorer(network)

    def trainable(self) -> nn.Module:
        """The whole network."""
        return self.scorer

    def view(self, batch: NoteBatch) -> Tensor:
        """Audio, (n, 64000)."""
        rng = torch.Generator().manual_seed(int(self.scorer.draws))
        return cast("Tensor", self.render(base.decode_batch(self.codec, batch), rng))

    def critic_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """See `Critic.critic_loss`; with new random phases."""
        self.scorer.draws += 1
        return super().critic_loss(real, fake)


def load_article() -> ArticleNetwork:
    """The article's network with its shipped weights, to train further."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(SHIPPED_ARTICLE)
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    arrays = []
    for number in range(len(CHANNELS)):
        layer = f"convolution_{number + 1}"
        arrays += [stored[f"{layer}_weight"].T, stored[f"{layer}_bias"]]
    for layer in ("hidden", "pitch"):
        arrays += [stored[f"{layer}_weight_half"], stored[f"{layer}_bias"]]
    return ArticleNetwork.from_keras([each.copy() for each in arrays], fused=False)
