"""Figures of the listener on notes that are not trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening.training.labels import UNKNOWN, Labeller
from mechanical_ears.listening.training.losses import InstrumentClassifier
from mechanical_ears.training.feed import StoredNotes, load_batches

BATCH_NOTES = 64


@torch.no_grad()
def validate(
    classifier: InstrumentClassifier, front_end: nn.Module, notes: StoredNotes, labeller: Labeller
) -> dict[str, float]:
    """Loss of the key, and shares of notes predicted correctly, without augmentation.

    A velocity is correct if it is at most one step off; "chroma" is the key up to octaves.
    """
    classifier.eval()
    device = next(front_end.buffers()).device
    sums: dict[str, list[float]] = {}
    for batch in load_batches(notes, BATCH_NOTES):
        labels = labeller.label(batch.notes).to(device)
        output, _ = classifier(front_end(batch.audio_on(device)))
        key = output.key.argmax(dim=1)
        sounding, family = output.sounding.argmax(dim=1), output.family.argmax(dim=1)
        steps_off = (output.velocity.argmax(dim=1) - labels.velocity).abs()
        loss = float(functional.cross_entropy(output.key, labels.key))
        figures = {
            "validation_loss": (loss, len(key)),
            "validation_accuracy": _accuracy(key == labels.key, labels.key),
            "validation_chroma": _accuracy((key - labels.key) % 12 == 0, labels.key),
            "validation_sounding": _accuracy(sounding == labels.sounding, labels.sounding),
            "validation_family": _accuracy(family == labels.family, labels.family),
            "validation_velocity": _accuracy(steps_off <= 1, labels.velocity),
            "validation_pitched": _accuracy(output.pitched > 0, labels.key),
        }
        for name, (mean, count) in figures.items():
            total = sums.setdefault(name, [0.0, 0.0])
            total[0] += mean * count
            total[1] += count
    return {name: round(total / max(count, 1), 5) for name, (total, count) in sums.items()}


def _accuracy(correct: Tensor, labels: Tensor) -> tuple[float, int]:
    """Share that is correct of notes whose label is known, and their number."""
    known = labels != UNKNOWN
    count = int(known.sum())
    return (float(correct[known].float().mean()) if count else 0.0), count
