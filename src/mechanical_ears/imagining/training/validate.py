"""How far a training is, told by codes alone: quick figures after every round.

They tell a good training from a bad one within a second; how real and how new instruments sound is
measured on sounds, by networks that had no part in it (`ears evaluate imagination`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mechanical_ears.imagining.training.critics.make import shown, shown_scale
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import Networks
from mechanical_ears.set_metrics import frechet_distance, precision_recall

if TYPE_CHECKING:
    from mechanical_ears.imagining.training.dataset import CodedNotes

NOTES: Final = 2048  # that are compared
SEEN: Final = 48  # components, of the code as critics see it


@dataclass(frozen=True)
class Watched:
    """Figures of a round.

    Attributes:
        frechet: distance between imagined notes and those of training instruments.
        frechet_unseen: the same to those of validation instruments.
        floor_unseen: between training and validation instruments.
        precision: share of imagined notes on the training notes' manifold.
        recall: share of training notes on the imagined ones' manifold.
        other_notes: dB, root mean square difference to the other notes of validation instruments,
            told by one note.
        same_notes: dB, to the notes of training instruments, told by one other note.
        consistency: distance between notes of an instrument over that between instruments, over
            the same of real ones.
    """

    frechet: float
    frechet_unseen: float
    floor_unseen: float
    precision: float
    recall: float
    other_notes: float
    same_notes: float
    consistency: float


@torch.no_grad()
def watch(players: Networks, codec: Codec, sides: dict[str, CodedNotes], seed: int) -> Watched:
    """Measure the networks.

    Args:
        players: averaged weights.
        codec: of the codes.
        sides: notes by side.
        seed: of the notes that are compared.
    """
    lots = torch.Generator().manual_seed(seed + 12345)
    device = codec.deviation.device
    scale = shown_scale(codec.deviation)
    train, unseen = sides["train"], sides["validation"]
    rows = train.draw(NOTES // 2, 2, lots)
    asked = train.asked(rows)
    asked = type(asked)(*(part.to(device) for part in asked))
    z = torch.randn(NOTES // 2, players.shape.z, generator=lots).to(device)

    def seen(codes: Tensor) -> NDArray[np.float64]:
        return shown(codes.to(device), scale)[:, : SEEN + 1].double().cpu().numpy()

    imagined = seen(players.imagine(z, asked))
    real = seen(train.codes[rows])
    other = seen(unseen.codes[unseen.draw(NOTES // 2, 2, lots)])
    precision, recall = precision_recall(real, imagined)
    return Watched(
        frechet=round(frechet_distance(real, imagined), 4),
        frechet_unseen=round(frechet_distance(other, imagined), 4),
        floor_unseen=round(frechet_distance(other, real), 4),
        precision=round(precision, 4),
        recall=round(recall, 4),
        other_notes=_told_by_one(players, codec, unseen, lots),
        same_notes=_told_by_one(players, codec, train, lots),
        consistency=round(_within(imagined) / _within(real), 4),
    )


def _told_by_one(
    players: Networks, codec: Codec, notes: CodedNotes, lots: torch.Generator
) -> float:
    device = codec.deviation.device
    rows = notes.draw(512, 2, lots)
    asked = type(notes.asked(rows))(*(part.to(device) for part in notes.asked(rows)))
    codes = notes.codes[rows].to(device)
    timbre = players.encoder(codes, asked.pitch, asked.velocity)[0]
    swapped = timbre.reshape(-1, 2, timbre.shape[1]).flip(1).reshape(timbre.shape)
    made = players.generator(swapped, asked.pitch, asked.velocity)
    apart = (made - codes)[:, 1:] * codec.deviation
    return round(float((apart.square().sum(dim=1) / len(codec.mean)).sqrt().mean()), 3)


def _within(codes: NDArray[np.float64]) -> float:
    """Mean distance between the two notes of an instrument over that between instruments."""
    pairs = codes.reshape(-1, 2, codes.shape[1])
    within = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1).mean()
    between = np.linalg.norm(pairs[:, 0] - np.roll(pairs[:, 1], 1, axis=0), axis=1).mean()
    return float(within / between)
