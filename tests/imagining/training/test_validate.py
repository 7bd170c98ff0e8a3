"""Figures of a round: known answers for networks and notes whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training import validate as module
from mechanical_ears.imagining.training.dataset import LatentDataset
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.validate import validate

COMPONENTS, INSTRUMENTS, NOTES = 4, 60, 6


def dataset(seed, shift=0.0):
    """Instruments at random places; the notes of one lie near each other."""
    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(INSTRUMENTS, 1, COMPONENTS, generator=rng) + shift
    notes = centres + 0.1 * torch.randn(INSTRUMENTS, NOTES, COMPONENTS, generator=rng)
    count = INSTRUMENTS * NOTES
    return LatentDataset(
        latents=torch.cat([torch.full((count, 1), -2.0), notes.reshape(count, -1)], dim=1),
        pitch=torch.full((count,), 60.0),
        velocity=torch.full((count,), 100.0),
        family=torch.zeros(count, dtype=torch.int64),
        instrument=torch.arange(INSTRUMENTS).repeat_interleave(NOTES),
        names=tuple(f"guitar {number}" for number in range(INSTRUMENTS)),
    )


def silent_networks():
    """Networks that imagine the same latent (0 dB slope aside) for every instrument."""
    networks = Networks(
        ImaginationShape(
            components=COMPONENTS, encoder_components=COMPONENTS, hidden=8, blocks=1, dense=8
        )
    )
    with torch.no_grad():
        networks.generator.leave.weight.zero_()
        networks.generator.leave.bias.zero_()
    return networks


def test_figures(monkeypatch):
    monkeypatch.setattr(module, "COMPARED_NOTES", 400)
    cells = 9.0
    codec = Codec(torch.zeros(int(cells)), torch.eye(9)[:, :COMPONENTS], torch.ones(COMPONENTS))
    sides = {"train": dataset(0), "validation": dataset(1, shift=3.0)}
    figures = validate(silent_networks(), codec, sides, seed=0)
    # Zero latents predict notes of COMPONENTS normal numbers: RMS of a chi distribution over cells.
    for value, side in ((figures.same_notes, "train"), (figures.other_notes, "validation")):
        expected = float((sides[side].latents[:, 1:].square().sum(dim=1) / cells).sqrt().mean())
        assert value == pytest.approx(expected, rel=0.1)
    assert figures.floor_unseen == pytest.approx(4 * 3.0**2, rel=0.3), "the squared shift"
    assert figures.frechet_unseen > figures.floor_unseen
    assert figures.recall < 0.1


def test_consistency_of_pairs():
    pairs = np.array([[0.0, 0], [0, 1], [10, 0], [10, 1]])  # within 1, between √101 and √101
    assert module._distance_ratio(pairs) == pytest.approx(1 / np.sqrt(101))


def test_same_seed_same_figures(monkeypatch):
    monkeypatch.setattr(module, "COMPARED_NOTES", 64)
    codec = Codec(torch.zeros(9), torch.eye(9)[:, :COMPONENTS], torch.ones(COMPONENTS))
    sides = {"train": dataset(0), "validation": dataset(1)}
    networks = silent_networks()
    assert validate(networks, codec, sides, seed=3) == validate(networks, codec, sides, seed=3)
