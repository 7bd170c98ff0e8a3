"""The critics: who tells real notes from imagined ones, and what each of them looks at.

    map     the code of a note: is it one that a note of this family, key and velocity can have?
    pair    two codes: can they be notes of one instrument?
    ears    what the trained pitch detector makes of the note: its features, frozen, with heads that
            learn; and its opinion of key, family and velocity, which are to be what was asked for
    article, detector   see `raw_critics`

A critic first takes a *view* of notes, through which gradients pass to the generator, then scores
views beside what was asked for (projection: Miyato and Koyama, "cGANs with projection
discriminator", 2018). The pitch detector as critic is what the article planned: it has heard
thousands of notes before, and knows what matters in them (as in Sauer et al., "Projected GANs
converge faster", 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.errors import EarsError, TrainingError
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.losses import critic_loss, generator_loss, gradient_penalty
from mechanical_ears.imagining.training.networks import (
    LEAKING,
    PITCH_FEATURES,
    VELOCITY_FEATURES,
    Condition,
    pitch_features,
    velocity_features,
)
from mechanical_ears.listening.training.network import Listener, ListenerOutput
from mechanical_ears.note import FAMILIES, HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.resynthesis.control_grid import GRID_FRAMES, GRID_NOISE_FRAMES
from mechanical_ears.resynthesis.differentiable.control_map_batch import grid_batch
from mechanical_ears.resynthesis.differentiable.magnitude import MagnitudeRender

CONDITION_FEATURES: Final = PITCH_FEATURES + VELOCITY_FEATURES + len(FAMILIES)
WHITENED: Final = 0.5  # exponent of the deviations by which codes are shown to critics
LISTENER: Final = Path(__file__).parents[3] / "listening" / "weights" / "listener.safetensors"
VELOCITY_STEPS: Final = (25.0, 50.0, 75.0, 100.0, 127.0)


class NoteBatch(NamedTuple):
    """Notes as critics get them; notes 2k and 2k + 1 are of one instrument.

    Attributes:
        codes: float32 (n, 1 + components), see `codec`.
        asked: of the same notes.
    """

    codes: Tensor
    asked: Condition


def condition_features(asked: Condition) -> Tensor:
    """What was asked for as numbers, (n, 32)."""
    keys, strokes = pitch_features(asked.pitch), velocity_features(asked.velocity)
    return torch.cat([keys, strokes, asked.family], dim=1)


class Scorer(nn.Module):
    """Features beside what was asked for → one score each.

    Args:
        inputs: numbers of a view.
        asked: numbers that tell what was asked for.
        hidden: units.
    """

    def __init__(self, inputs: int, asked: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs + asked, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden), nn.LeakyReLU(LEAKING), nn.Linear(hidden, hidden)
            )
            for _ in range(2)
        )
        self.leave = nn.Linear(hidden, 1)
        self.project = nn.Linear(asked, hidden, bias=False)

    def forward(self, views: Tensor, asked: Tensor) -> Tensor:
        """(n, inputs), (n, asked) → (n,)."""
        features = self.enter(torch.cat([views, asked], dim=1))
        for block in self.blocks:
            features = features + block(functional.leaky_relu(features, LEAKING))
        features = functional.leaky_relu(features, LEAKING)
        projected = (features * self.project(asked)).mean(dim=1)
        return cast("Tensor", self.leave(features)[:, 0] + projected)


class Critic(nn.Module):
    """One critic; subclasses say what it looks at and how it scores.

    Attributes:
        name: as on the command line.
        notes: at most so many notes of a batch are looked at.
        every: steps from one of its turns to the next.
        weight: of its opinion in the generator's loss.
        gamma: of its gradient penalty.
    """

    name: str = ""
    notes: int = 1 << 30
    every: int = 1
    weight: float = 1.0
    gamma: float = 1.0

    def learner(self) -> nn.Module:
        """The part of it that learns, which checkpoints keep."""
        return self

    def view(self, played: NoteBatch) -> Tensor:
        """What it sees of notes, (n, …)."""
        raise NotImplementedError

    def score(self, views: Tensor, asked: Condition) -> Tensor:
        """Scores of views; the greater, the more real."""
        raise NotImplementedError

    def own_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """What it learns from notes asked for alike."""
        with torch.no_grad():
            seen_real, seen_fake = self.view(real), self.view(fake)
        seen_real.requires_grad_()
        seen_fake.requires_grad_()
        real_scores = self.score(seen_real, real.asked)
        fake_scores = self.score(seen_fake, fake.asked)
        penalty = gradient_penalty(real_scores, seen_real)
        penalty = penalty + gradient_penalty(fake_scores, seen_fake)
        return critic_loss(real_scores, fake_scores) + self.gamma / 2 * penalty

    def generators_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """What the generator learns from it."""
        with torch.no_grad():
            real_scores = self.score(self.view(real), real.asked)
        return generator_loss(real_scores, self.score(self.view(fake), fake.asked))


class MapCritic(Critic):
    """Looks at codes."""

    name = "map"
    scale: Tensor

    def __init__(self, deviation: Tensor, hidden: int = 384) -> None:
        super().__init__()
        self.register_buffer("scale", shown_scale(deviation), persistent=False)
        self.scorer = Scorer(1 + len(deviation), CONDITION_FEATURES, hidden)

    def view(self, played: NoteBatch) -> Tensor:
        """Scaled codes."""
        return shown(played.codes, self.scale)

    def score(self, views: Tensor, asked: Condition) -> Tensor:
        """See `Critic.score`."""
        return cast("Tensor", self.scorer(views, condition_features(asked)))


class PairCritic(Critic):
    """Looks at the codes of two notes at a time."""

    name = "pair"
    scale: Tensor

    def __init__(self, deviation: Tensor, hidden: int = 384) -> None:
        super().__init__()
        self.register_buffer("scale", shown_scale(deviation), persistent=False)
        self.scorer = Scorer(2 * (1 + len(deviation)), 2 * CONDITION_FEATURES, hidden)

    def view(self, played: NoteBatch) -> Tensor:
        """Scaled codes of both notes, (n / 2, …)."""
        return shown(played.codes, self.scale).reshape(len(played.codes) // 2, -1)

    def score(self, views: Tensor, asked: Condition) -> Tensor:
        """Scores of pairs, (n / 2,)."""
        features = condition_features(asked)
        return cast("Tensor", self.scorer(views, features.reshape(len(features) // 2, -1)))


class EarsCritic(Critic):
    """The pitch detector: hears notes as the listener does, without their being rendered.

    Its features are those before and behind the trunk of the listener, from which family, velocity
    and the like are told.
    """

    name = "ears"
    notes = 24
    every = 4  # it is as dear as twenty looks at codes
    weight = 0.5
    gamma = 0.1
    opinions: Final = {"key": 0.1, "family": 0.1, "velocity": 0.05}  # weights of its own answers

    def __init__(self, codec: Codec, listener: Listener, hidden: int = 384) -> None:
        super().__init__()
        self.codec = codec
        self.render = MagnitudeRender(NOTE_SECONDS, HOLD_SECONDS, GRID_FRAMES, GRID_NOISE_FRAMES)
        self.listener = listener.eval().requires_grad_(False)
        self.scorer = Scorer(listener.features, CONDITION_FEATURES, hidden)

    def learner(self) -> nn.Module:
        """The heads."""
        return self.scorer

    def train(self, mode: bool = True) -> EarsCritic:
        """The listener stays as it is."""
        super().train(mode)
        self.listener.eval()
        return self

    def hear(self, played: NoteBatch) -> tuple[ListenerOutput, Tensor]:
        """What the listener tells of notes, and its features (n, 769)."""
        told_apart = self.codec.decode(played.codes)._asdict()
        del told_apart["cents"]  # of vibrato, which is not shown
        heard = self.render(grid_batch(**told_apart, pitch=played.asked.pitch))
        return self.listener.forward_with_features(*heard)

    def view(self, played: NoteBatch) -> Tensor:
        """The listener's features."""
        return self.hear(played)[1]

    def score(self, views: Tensor, asked: Condition) -> Tensor:
        """See `Critic.score`."""
        return cast("Tensor", self.scorer(views, condition_features(asked)))

    def generators_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """That notes are taken for real, and heard as what was asked for."""
        with torch.no_grad():
            real_scores = self.score(self.view(real), real.asked)
        told, features = self.hear(fake)
        loss = generator_loss(real_scores, self.score(features, fake.asked))
        steps = torch.tensor(VELOCITY_STEPS, device=features.device)
        stroke = (fake.asked.velocity[:, None] - steps).abs().argmin(dim=1)
        answers = {
            "key": functional.cross_entropy(told.key, fake.asked.pitch.round().long()),
            "family": functional.cross_entropy(told.family, fake.asked.family),
            "velocity": functional.cross_entropy(told.velocity, stroke),
        }
        for name, weight in self.opinions.items():
            loss = loss + weight * answers[name]
        return loss


def shown_scale(deviation: Tensor) -> Tensor:
    """By what numbers of a code are multiplied before critics see them, float32 (1 + components,).

    Between codes as they are, in which every component is as loud as any, and decibels, in which
    the last ones are not heard.
    """
    scale = (deviation / deviation.square().mean().sqrt()) ** WHITENED
    return torch.cat([torch.ones(1, device=deviation.device), scale])


def shown(codes: Tensor, scale: Tensor) -> Tensor:
    """Codes as critics see them; the level about 0."""
    return torch.cat([codes[:, :1] + 2, codes[:, 1:]], dim=1) * scale


def load_listener(path: Path | None = None) -> Listener:
    """The trained listener as a network that gradients pass.

    Args:
        path: listener.safetensors of `ears train listener`; None takes the shipped one.

    Raises:
        EarsError: there is no such file, or it holds another network.
    """
    path = LISTENER if path is None else path
    listener = Listener()
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        listener.load_state_dict(weights, strict=False)
        missing = {name for name, _ in listener.named_parameters()} - weights.keys()
        if missing:
            raise RuntimeError(f"{min(missing)} is missing")
    except (OSError, SafetensorError, RuntimeError) as error:
        raise EarsError(
            f"holds no listener ({str(error).splitlines()[0]})",
            path=path,
            remedy="give listener.safetensors of a run of: ears train listener",
        ) from error
    return listener


CRITICS: Final = ("map", "pair", "ears", "article", "detector")


def check_critics(names: Sequence[str]) -> None:
    """Refuse names that are not of `CRITICS`, or there twice.

    Raises:
        TrainingError: one is.
    """
    unknown = [name for name in names if name not in CRITICS]
    if unknown or len(set(names)) < len(names):
        raise TrainingError(
            f'there is no critic "{unknown[0]}"' if unknown else "a critic is named twice",
            remedy=f"choose among {', '.join(CRITICS)}",
        )


def make_critics(names: Sequence[str], codec: Codec, listener: Path | None = None) -> list[Critic]:
    """The critics of a training.

    Args:
        names: of `CRITICS`, each at most once.
        codec: of the codes that they judge.
        listener: weights of the ears; None takes the shipped ones.

    Raises:
        TrainingError: there is no such critic.
        EarsError: the listener cannot be read.
    """
    check_critics(names)
    made: list[Critic] = []
    for name in names:
        if name == "map":
            made.append(MapCritic(codec.deviation))
        elif name == "pair":
            made.append(PairCritic(codec.deviation))
        elif name == "ears":
            made.append(EarsCritic(codec, load_listener(listener)))
        else:
            from mechanical_ears.imagining.training.critics import raw as raw_critics

            made.append(raw_critics.make(name, codec))
    return made
