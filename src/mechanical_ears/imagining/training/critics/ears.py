"""The trained ears as critic: their features, frozen, with a scoring head that learns.

The listener has been trained on thousands of real notes and knows which features matter (as in
Sauer et al., "Projected GANs converge faster", 2021). Notes reach it without audio, by the
differentiable magnitude renderer. The generator also learns from the listener's own predictions:
key, family and velocity should be those of the condition.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.training.critics import base
from mechanical_ears.imagining.training.critics.base import Critic, FeatureRender, NoteBatch, Scorer
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.losses import relativistic_generator_loss
from mechanical_ears.listening.training.network import Listener, ListenerOutput
from mechanical_ears.note import VELOCITIES

LISTENER: Final = Path(__file__).parents[3] / "listening" / "weights" / "listener.safetensors"
PREDICTION_WEIGHTS: Final = {"key": 0.1, "family": 0.1, "velocity": 0.05}


class EarsCritic(Critic):
    """Judges the features of the frozen listener, those before and after its trunk."""

    name = "ears"
    max_notes = 24
    interval = 4  # one turn costs as much as twenty of a critic of latents
    weight = 0.5
    gamma = 0.1

    def __init__(self, codec: Codec, listener: Listener, hidden: int = 384) -> None:
        super().__init__()
        self.render = FeatureRender(codec)
        self.listener = listener.eval().requires_grad_(False)
        self.scorer = Scorer(listener.features, base.CONDITION_FEATURES, hidden)

    def trainable(self) -> nn.Module:
        """The scoring head."""
        return self.scorer

    def train(self, mode: bool = True) -> EarsCritic:
        """Set the mode of all but the listener, which stays in evaluation mode."""
        super().train(mode)
        self.listener.eval()
        return self

    def listen(self, batch: NoteBatch) -> tuple[ListenerOutput, Tensor]:
        """The listener's output and its features (n, 769)."""
        return self.listener.forward_with_features(*self.render(batch))

    def view(self, batch: NoteBatch) -> Tensor:
        """The listener's features, (n, 769)."""
        return self.listen(batch)[1]

    def generator_loss(self, real: NoteBatch, fake: NoteBatch) -> Tensor:
        """Adversarial loss, and cross-entropy of the listener's predictions."""
        condition = fake.condition
        with torch.no_grad():
            real_scores = self.score(self.view(real), real.condition)
        output, features = self.listen(fake)
        loss = relativistic_generator_loss(real_scores, self.score(features, condition))
        velocities = torch.tensor(VELOCITIES, device=features.device)
        nearest_velocity = (condition.velocity[:, None] - velocities).abs().argmin(dim=1)
        targets = {
            "key": condition.pitch.round().long(),
            "family": condition.family,
            "velocity": nearest_velocity,
        }
        for head, weight in PREDICTION_WEIGHTS.items():
            loss = loss + weight * functional.cross_entropy(getattr(output, head), targets[head])
        return loss


def load_listener(path: Path | None = None) -> Listener:
    """The trained listener as a network that gradients pass.

    Args:
        path: listener.safetensors of `ears train listener`; default: the shipped one.

    Raises:
        EarsError: the file is missing, or holds another network.
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
