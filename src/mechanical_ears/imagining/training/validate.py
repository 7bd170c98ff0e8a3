"""Quick figures of a training after each round, computed on latents.

They distinguish a good training from a bad one within a second; how real and how new instruments
sound is measured on audio, by networks that took no part in training (`ears evaluate imagination`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mechanical_ears.imagining.training.critics.latent import scale_latents, view_scale
from mechanical_ears.imagining.training.dataset import LatentDataset
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import Networks
from mechanical_ears.set_metrics import frechet_distance, precision_recall

COMPARED_NOTES: Final = 2048  # two of each instrument
COMPARED_COMPONENTS: Final = 48  # of latents as critics see them
RECONSTRUCTED_INSTRUMENTS: Final = 512  # two notes of each


@dataclass(frozen=True)
class ValidationFigures:
    """Figures of a round.

    Attributes:
        frechet: distance between imagined notes and those of training instruments.
        frechet_unseen: the same to those of validation instruments.
        floor_unseen: between training and validation instruments.
        precision: share of imagined notes on the training notes' manifold.
        recall: share of training notes on the imagined ones' manifold.
        other_notes: dB, root mean square error of a note of a validation instrument, predicted
            from another note of it.
        same_notes: dB, the same of training instruments.
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
def validate(
    networks: Networks, codec: Codec, sides: dict[str, LatentDataset], seed: int
) -> ValidationFigures:
    """Compare imagined notes with those of training and validation instruments.

    Args:
        networks: averaged weights.
        codec: of the latents.
        sides: notes by side.
        seed: of the notes that are compared.
    """
    rng = torch.Generator().manual_seed(seed + 12345)
    device = codec.deviation.device
    scale = view_scale(codec.deviation)
    train, unseen = sides["train"], sides["validation"]
    rows = train.sample(COMPARED_NOTES // 2, 2, rng)
    z = torch.randn(COMPARED_NOTES // 2, networks.shape.z, generator=rng).to(device)

    def viewed(latents: Tensor) -> NDArray[np.float64]:
        views = scale_latents(latents.to(device), scale)[:, : COMPARED_COMPONENTS + 1]
        return views.double().cpu().numpy()

    imagined = viewed(networks.imagine(z, train.condition(rows).to(device)))
    real = viewed(train.latents[rows])
    other = viewed(unseen.latents[unseen.sample(COMPARED_NOTES // 2, 2, rng)])
    precision, recall = precision_recall(real, imagined)
    return ValidationFigures(
        frechet=round(frechet_distance(real, imagined), 4),
        frechet_unseen=round(frechet_distance(other, imagined), 4),
        floor_unseen=round(frechet_distance(other, real), 4),
        precision=round(precision, 4),
        recall=round(recall, 4),
        other_notes=round(_prediction_error(networks, codec, unseen, rng), 3),
        same_notes=round(_prediction_error(networks, codec, train, rng), 3),
        consistency=round(_distance_ratio(imagined) / _distance_ratio(real), 4),
    )


def _prediction_error(
    networks: Networks, codec: Codec, notes: LatentDataset, rng: torch.Generator
) -> float:
    """Error of notes that are predicted from one other note of the instrument, dB."""
    device = codec.deviation.device
    rows = notes.sample(RECONSTRUCTED_INSTRUMENTS, 2, rng)
    pitch, velocity, _ = notes.condition(rows).to(device)
    latents = notes.latents[rows].to(device)
    timbre = networks.encoder(latents, pitch, velocity)[0]
    of_other_note = timbre.reshape(-1, 2, timbre.shape[1]).flip(1).reshape(timbre.shape)
    predicted = networks.generator(of_other_note, pitch, velocity)
    error = (predicted - latents)[:, 1:] * codec.deviation
    return float((error.square().sum(dim=1) / len(codec.mean)).sqrt().mean())


def _distance_ratio(views: NDArray[np.float64]) -> float:
    """Mean distance between the two notes of an instrument over that between instruments."""
    pairs = views.reshape(-1, 2, views.shape[1])
    within = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1).mean()
    between = np.linalg.norm(pairs[:, 0] - np.roll(pairs[:, 1], 1, axis=0), axis=1).mean()
    return float(within / between)
