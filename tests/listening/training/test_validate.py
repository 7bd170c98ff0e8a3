"""Figures of validation for predictions that are right for a known share of notes."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.training.labels import Labeller
from mechanical_ears.listening.training.network import ListenerOutput
from mechanical_ears.listening.training.validate import validate
from mechanical_ears.training.feed import StoredNotes


class FrontEnd(nn.Module):
    """Passes audio on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("constant", torch.zeros(1))

    def forward(self, audio):
        return (audio,)


class Predictor(nn.Module):
    """Predicts given classes in the order of notes, with logits of 10 and 0."""

    def __init__(self, **classes):
        super().__init__()
        self.classes, self.done = classes, 0

    def forward(self, inputs):
        rows = slice(self.done, self.done + len(inputs[0]))
        self.done = rows.stop
        sizes = {"key": 128, "sounding": 128, "family": 11, "source": 3, "velocity": 5}
        logits = {
            name: 10 * nn.functional.one_hot(self.classes[name][rows], size).float()
            for name, size in sizes.items()
        }
        pitched = self.classes["pitched"][rows]
        output = ListenerOutput(
            qualities=torch.zeros(len(pitched), 10), pitched=pitched, embedding=pitched, **logits
        )
        return output, torch.zeros(len(pitched), 1)


def test_shares_of_correct_predictions(tmp_path):
    build_store(Toy(100, instruments=10), tmp_path / "toy", split=(0.6, 0.2, 0.2))
    notes = StoredNotes.from_stores([Store(tmp_path / "toy")], "train", 16_000, 64_000).select(
        np.arange(50)
    )
    labeller = Labeller(notes.stores)
    labels = labeller.label(notes)
    row = torch.arange(50)
    predictor = Predictor(
        key=torch.where(row < 20, labels.key, labels.key + 12),  # 30 an octave off
        sounding=torch.where(row < 45, labels.sounding, labels.sounding + 1),
        family=torch.where(row < 25, labels.family, (labels.family + 1) % 11),
        source=labels.source,
        velocity=torch.where(
            row < 35, (labels.velocity - 1).clamp_min(0), (labels.velocity + 2) % 5
        ),
        pitched=torch.where(row < 40, 1.0, -1.0),
    )
    figures = validate(predictor, FrontEnd(), notes, labeller)
    log_sum = math.log(math.exp(10) + 127)
    assert figures == {
        "validation_loss": pytest.approx(log_sum - 10 * 20 / 50, abs=1e-4),
        "validation_accuracy": 0.4,
        "validation_chroma": 1.0,
        "validation_sounding": 0.9,
        "validation_family": 0.5,
        "validation_velocity": 0.7,
        "validation_pitched": 0.8,
    }
