"""One step of the adversarial training: critics and generator learn from the same batch of notes.

    real    four notes each of random instruments of the corpora
    fake    the same keys and velocities with timbres of the mapper or of the encoder

The critics learn to distinguish them (see `losses`). Mapper, generator and encoder learn

    - to be judged real by every critic;
    - reconstruction: to predict all notes of an instrument from the timbre of one to three of them,
      which is what makes one timbre of all keys and velocities;
    - cycle: to encode a generated note as the timbre that it was generated from (Chen et al.,
      "InfoGAN: interpretable representation learning", 2016);
    - timbres: to map to timbres that are distributed, with their families, as the encoder's are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mechanical_ears.imagining.training.critics.base import Critic, NoteBatch
from mechanical_ears.imagining.training.critics.latent import view_scale
from mechanical_ears.imagining.training.critics.make import stored_name
from mechanical_ears.imagining.training.dataset import NOTES_PER_INSTRUMENT
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.losses import reconstruction_loss, sliced_distance
from mechanical_ears.imagining.training.networks import Networks

ENCODED_SHARE: Final = 0.25  # of the instruments for critics: those with timbres of the encoder
MAX_ENCODED_NOTES: Final = 3  # of an instrument, whose mean timbre reconstructs all its notes
TIMBRE_NOISE: Final = 0.1  # added to timbres of the encoder, so that neighbours sound alike
CYCLE_WEIGHT: Final = 0.2
SIZE_WEIGHT: Final = 0.01  # of the size of timbres, which keeps them near 0
FAMILY_WEIGHT: Final = 0.05  # of the family that the encoder predicts
FAMILY_SCALE: Final = 2.0  # of families among the numbers of timbres when sets are compared
BETAS: Final = (0.0, 0.99)  # of Adam


class Generated(NamedTuple):
    """Notes and timbres of one step.

    Attributes:
        fake: latents that the critics judge, (n, 1 + components).
        timbre: of the mapper, (instruments, 64).
        imagined: latents of notes with these timbres.
        encoded: timbre of each real note, (n, 64).
        mean: of one to three encoded timbres of an instrument, (instruments, 64).
        families: logits of the encoder, (n, 11).
        reconstructed: latents of the real notes, from ``mean`` with noise.
    """

    fake: Tensor
    timbre: Tensor
    imagined: Tensor
    encoded: Tensor
    mean: Tensor
    families: Tensor
    reconstructed: Tensor


def generate(networks: Networks, real: NoteBatch, rng: torch.Generator) -> Generated:
    """Generate notes with the keys and velocities of real ones."""
    latents, (pitch, velocity, family) = real
    device, count = latents.device, len(latents) // NOTES_PER_INSTRUMENT

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=rng).to(device)

    def play(timbre: Tensor) -> Tensor:
        latents: Tensor = networks.generator(
            timbre.repeat_interleave(NOTES_PER_INSTRUMENT, 0), pitch, velocity
        )
        return latents

    timbre = networks.mapper(normal(count, networks.shape.z), family[::NOTES_PER_INSTRUMENT])
    imagined = play(timbre)
    encoded, families = networks.encoder(latents, pitch, velocity)
    order = torch.rand(count, NOTES_PER_INSTRUMENT, generator=rng).argsort(dim=1).argsort(dim=1)
    notes = 1 + torch.randint(MAX_ENCODED_NOTES, (count, 1), generator=rng)
    used = (order < notes).float().to(device)[:, :, None]
    mean = (encoded.reshape(count, NOTES_PER_INSTRUMENT, -1) * used).sum(dim=1) / used.sum(dim=1)
    reconstructed = play(mean + TIMBRE_NOISE * normal(*mean.shape))
    split = round(count * (1 - ENCODED_SHARE)) * NOTES_PER_INSTRUMENT
    fake = torch.cat([imagined[:split], reconstructed[split:]])
    return Generated(fake, timbre, imagined, encoded, mean, families, reconstructed)


class AdversarialStep:
    """A step of the critics and a step of the generator, with their optimisers.

    Args:
        networks: mapper, generator and encoder.
        critics: that judge; none trains by reconstruction alone.
        codec: of the latents.
        fabric: Lightning's; several processes share the gradients.
        learning_rate: of Adam.
    """

    def __init__(
        self,
        networks: Networks,
        critics: Sequence[Critic],
        codec: Codec,
        fabric: Any,
        learning_rate: float,
    ) -> None:
        self.networks, self.critics, self.codec, self.fabric = networks, critics, codec, fabric
        self.scale = view_scale(codec.deviation)
        weights = [w for critic in critics for w in critic.parameters() if w.requires_grad]
        self.optimisers = {
            name: torch.optim.Adam(parameters, lr=learning_rate, betas=BETAS)
            for name, parameters in (("generator", networks.parameters()), ("critics", weights))
            if parameters
        }
        self.max_latent = 0.0  # greatest number of the last generated latents

    def critics_step(self, real: NoteBatch, number: int, rng: torch.Generator) -> dict[str, float]:
        """Train the critics whose turn it is in step ``number``; returns their loss."""
        losses = {}
        if critics := self._at_turn(number):
            with torch.no_grad():
                fake = real._replace(latents=generate(self.networks, real, rng).fake)
            each = [critic.critic_loss(*_judged(critic, real, fake)) for critic in critics]
            losses["critics"] = torch.stack(each).sum()
        return self._descend("critics", losses)

    def generator_step(
        self, real: NoteBatch, number: int, rng: torch.Generator
    ) -> dict[str, float]:
        """Train mapper, generator and encoder; returns the weighted losses by name."""
        generated = generate(self.networks, real, rng)
        fake = real._replace(latents=generated.fake)
        self.max_latent = float(generated.fake.detach().abs().max())
        pitch, velocity, family = real.condition
        cycled = self.networks.encoder(generated.imagined, pitch, velocity)[0]
        cycled = cycled.reshape(len(generated.timbre), NOTES_PER_INSTRUMENT, -1).mean(dim=1)
        families = FAMILY_SCALE * family[::NOTES_PER_INSTRUMENT]
        known = torch.cat([generated.mean.detach(), families], dim=1)
        losses = {
            "reconstruction": reconstruction_loss(
                generated.reconstructed, real.latents, self.codec, self.scale
            ),
            "found_again": CYCLE_WEIGHT * (cycled - generated.timbre).square().mean(),
            "size": SIZE_WEIGHT
            * (generated.timbre.square().mean() + generated.encoded.square().mean()),
            "family": FAMILY_WEIGHT * functional.cross_entropy(generated.families, family),
            "timbres": sliced_distance(torch.cat([generated.timbre, families], dim=1), known, rng),
        }
        for critic in self._at_turn(number):
            loss = critic.generator_loss(*_judged(critic, real, fake))
            losses[stored_name(critic.name)] = critic.weight * loss
        return self._descend("generator", losses)

    def _at_turn(self, number: int) -> list[Critic]:
        return [critic for critic in self.critics if number % critic.interval == 0]

    def _descend(self, part: str, losses: dict[str, Tensor]) -> dict[str, float]:
        """One step of Adam on the sum of the losses; critics not at turn have no gradient."""
        if part in self.optimisers:
            optimiser = self.optimisers[part]
            optimiser.zero_grad(set_to_none=True)
            if losses:
                self.fabric.backward(torch.stack(list(losses.values())).sum())
            share_gradients(optimiser, self.fabric)
            optimiser.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}


def _judged(critic: Critic, real: NoteBatch, fake: NoteBatch) -> tuple[NoteBatch, NoteBatch]:
    return real.subset(critic.max_notes), fake.subset(critic.max_notes)


def share_gradients(optimiser: torch.optim.Optimizer, fabric: Any) -> None:
    """Mean gradients over all processes."""
    if fabric.world_size > 1:
        for weight in optimiser.param_groups[0]["params"]:
            if weight.grad is not None:
                weight.grad = fabric.all_reduce(weight.grad, reduce_op="mean")
