"""The game: what critics and players learn from one batch of notes.

    notes of instruments by lot, four of each                     real
    the same keys and velocities, of timbres from z or by ear     fake

Critics learn to tell them apart (losses.py). Generator, mapper and encoder learn

    - to be taken for real by every critic;
    - to play the other notes of an instrument of which one to three were heard (cross-note
      reconstruction), which is what makes one timbre of all keys and velocities;
    - that the encoder finds the timbre again of which a note was made (Chen et al., "InfoGAN:
      interpretable representation learning", 2016);
    - to draw timbres, with their families, as the encoder finds them in the known instruments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from mechanical_ears.imagining.training.augment import Variation
from mechanical_ears.imagining.training.critics.make import Critic, NoteBatch, shown, shown_scale
from mechanical_ears.imagining.training.dataset import CodedNotes
from mechanical_ears.imagining.training.latents import LEVEL_SCALE, Codec
from mechanical_ears.imagining.training.losses import sliced_distance
from mechanical_ears.imagining.training.networks import Condition, Networks

EACH: Final = 4  # notes of an instrument in a batch
BY_EAR: Final = 0.25  # of the instruments that critics judge, those that the encoder heard
TIMBRE_NOISE: Final = 0.1  # added to timbres by ear, so that neighbours sound alike
RECONSTRUCTION: Final = 0.3  # weight of a decibel of difference
DETAIL: Final = 0.5  # weight of the difference as critics see it
FOUND_AGAIN: Final = 0.2  # weight of the encoder finding a timbre again
SIZE: Final = 0.01  # weight that keeps timbres near 0
FAMILY: Final = 0.05  # weight of the family that the encoder tells
FAMILY_APART: Final = 2.0  # of families, among the numbers of timbres when sets are compared


class AdversarialStep:
    """The losses of a step.

    Args:
        players: mapper, generator and encoder.
        critics: who judges.
        codec: of the codes.
    """

    def __init__(self, players: Networks, critics: Sequence[Critic], codec: Codec) -> None:
        self._players = players
        self._critics = critics
        self._deviation = codec.deviation
        self._cells = len(codec.mean)
        self._scale = shown_scale(codec.deviation)
        self.at_turn = list(critics)
        self.largest = 0.0  # number of a code that was made in the last step

    def take_turns(self, step: int) -> None:
        """Let those critics judge whose turn it is."""
        self.at_turn = [critic for critic in self._critics if step % critic.every == 0]

    def critics(self, real: NoteBatch, lots: torch.Generator) -> Tensor:
        """What the critics learn."""
        with torch.no_grad():
            fake = real._replace(codes=self._fakes(real, lots)[0])
        losses = []
        for critic in self.at_turn:
            losses.append(critic.own_loss(some(real, critic.notes), some(fake, critic.notes)))
        return torch.stack(losses).sum()

    def players(self, real: NoteBatch, lots: torch.Generator) -> dict[str, Tensor]:
        """What mapper, generator and encoder learn, by name."""
        codes, made = self._fakes(real, lots)
        fake = real._replace(codes=codes)
        apart = (made.by_ear - real.codes)[:, 1:] * self._deviation
        cells = (apart.square().sum(dim=1) / self._cells + 1e-3).sqrt().mean()
        level = (made.by_ear - real.codes)[:, 0].abs().mean() * LEVEL_SCALE
        detail = shown(made.by_ear - real.codes, self._scale)[:, 1:].square().mean()
        found = self._players.encoder(made.imagined, real.asked.pitch, real.asked.velocity)[0]
        found = found.reshape(len(made.timbre), EACH, -1).mean(dim=1)
        parts = {
            "reconstruction": RECONSTRUCTION * (cells + 0.25 * level) + DETAIL * detail,
            "found_again": FOUND_AGAIN * (found - made.timbre).square().mean(),
            "size": SIZE * (made.timbre.square().mean() + made.heard.square().mean()),
            "family": FAMILY * functional.cross_entropy(made.families, real.asked.family),
        }
        family = FAMILY_APART * real.asked.family[::EACH]
        known = torch.cat([made.mean.detach(), family], dim=1)
        parts["timbres"] = sliced_distance(torch.cat([made.timbre, family], dim=1), known, lots)
        for critic in self.at_turn:
            seen = some(real, critic.notes), some(fake, critic.notes)
            parts[critic.name] = critic.weight * critic.generators_loss(*seen)
        self.largest = float(codes.detach().abs().max())
        return parts

    def _fakes(self, real: NoteBatch, lots: torch.Generator) -> tuple[Tensor, Made]:
        """Codes that critics judge, and all that was made on the way."""
        players, asked = self._players, real.asked
        count = len(real.codes) // EACH
        device = real.codes.device

        def normal(*sizes: int) -> Tensor:
            return torch.randn(sizes, generator=lots).to(device)

        timbre = players.mapper(normal(count, players.shape.z), asked.family[::EACH])
        imagined = players.generator(timbre.repeat_interleave(EACH, 0), asked.pitch, asked.velocity)
        heard, families = players.encoder(real.codes, asked.pitch, asked.velocity)
        listens = torch.rand(count, EACH, generator=lots)
        most = 1 + torch.randint(3, (count, 1), generator=lots)
        chosen = (listens.argsort(dim=1).argsort(dim=1) < most).float().to(device)[:, :, None]
        mean = (heard.reshape(count, EACH, -1) * chosen).sum(dim=1) / chosen.sum(dim=1)
        noisy = (mean + TIMBRE_NOISE * normal(*mean.shape)).repeat_interleave(EACH, 0)
        by_ear = players.generator(noisy, asked.pitch, asked.velocity)
        kept = round(count * (1 - BY_EAR)) * EACH
        judged = torch.cat([imagined[:kept], by_ear[kept:]])
        return judged, Made(timbre, imagined, heard, mean, families, by_ear)


@dataclass(frozen=True, eq=False)
class Made:
    """What is made in a step.

    Attributes:
        timbre: (instruments, 64), by lot.
        imagined: codes of notes of these.
        heard: (n, 64), of each real note by ear.
        mean: (instruments, 64), of one to three real notes by ear.
        families: (n, 11), logits by ear.
        by_ear: codes of the real notes' timbres.
    """

    timbre: Tensor
    imagined: Tensor
    heard: Tensor
    mean: Tensor
    families: Tensor
    by_ear: Tensor


def drawn(
    notes: CodedNotes, instruments: int, lots: torch.Generator, variation: Variation
) -> NoteBatch:
    """Notes by lot, each instrument varied in its own way."""
    device = variation.table.device
    rows = notes.draw(instruments, EACH, lots)
    asked = Condition(*(part.to(device) for part in notes.asked(rows)))
    gains = variation.gains(instruments, lots).repeat_interleave(EACH, 0).to(device)
    return NoteBatch(variation(notes.codes[rows].to(device), asked.pitch, gains), asked)


def some(played: NoteBatch, notes: int) -> NoteBatch:
    """At most so many notes, from the whole batch, pairs kept together."""
    if notes >= len(played.codes):
        return played
    step = len(played.codes) // notes
    pairs = torch.arange(0, len(played.codes) // 2, step)[: notes // 2]
    rows = (2 * pairs[:, None] + torch.arange(2)).flatten().to(played.codes.device)
    return NoteBatch(played.codes[rows], Condition(*(part[rows] for part in played.asked)))
