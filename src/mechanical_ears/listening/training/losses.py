"""The loss of the listener, and the head that distinguishes training instruments.

The loss is a weighted sum of parts, each over the notes whose label is known,

    L = CE(key) + ½·CE(sounding) + ½·CE(family) + ⅕·CE(source) + 3/10·CE(velocity step)
      + ⅕·BCE(qualities) + 3/10·BCE(pitched) + ⅕·CE(instrument by cosine of the embedding)

(the last after Wang et al., "CosFace", 2018, without its margin: the head is discarded after
training, the embedding stays). Families are weighted by one over the root of their frequency.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening.training.labels import UNKNOWN, Labels
from mechanical_ears.listening.training.network import ListenerOutput
from mechanical_ears.note import FAMILIES
from mechanical_ears.training.feed import StoredNotes

LOSS_WEIGHTS = {
    "key": 1.0,
    "sounding": 0.5,
    "family": 0.5,
    "source": 0.2,
    "velocity": 0.3,
    "qualities": 0.2,
    "pitched": 0.3,
    "instrument": 0.2,
}
COSINE_SCALE = 16.0  # of the logits of the instrument head
FAMILY_SMOOTHING = 0.1  # of family labels, which are ambiguous at their borders


class InstrumentClassifier(nn.Module):
    """A listener with a head for the training instruments, which is discarded after training.

    Args:
        listener: output of a front end → `ListenerOutput`.
        instruments: number of instruments.
        embedding: dimensions of the listener's embedding.
    """

    def __init__(self, listener: nn.Module, instruments: int, embedding: int) -> None:
        super().__init__()
        self.listener = listener
        self.instruments = nn.Parameter(torch.randn(instruments, embedding))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[ListenerOutput, Tensor]:
        """Output of the listener, and logits of instruments (batch, instruments)."""
        output = self.listener(*inputs)
        cosines = output.embedding @ functional.normalize(self.instruments, dim=1).T
        return output, COSINE_SCALE * cosines


def listener_loss(
    output: ListenerOutput, instruments: Tensor, labels: Labels, families: Tensor | None = None
) -> Tensor:
    """Compute the loss of a batch over the known labels.

    Args:
        output: of the listener.
        instruments: logits (batch, instruments).
        labels: of the batch.
        families: weight of each family (11,); None weights all alike.
    """

    def cross_entropy(
        logits: Tensor, targets: Tensor, weight: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor:
        known = targets != UNKNOWN
        if not known.any():
            return logits.sum() * 0
        return functional.cross_entropy(
            logits[known], targets[known], weight, label_smoothing=smoothing
        )

    known = labels.qualities >= 0
    qualities = functional.binary_cross_entropy_with_logits(
        output.qualities, labels.qualities.clamp_min(0), known.float(), reduction="sum"
    )
    parts = {
        "key": cross_entropy(output.key, labels.key),
        "sounding": cross_entropy(output.sounding, labels.sounding),
        "family": cross_entropy(output.family, labels.family, families, FAMILY_SMOOTHING),
        "source": cross_entropy(output.source, labels.source),
        "velocity": cross_entropy(output.velocity, labels.velocity),
        "qualities": qualities / known.sum().clamp_min(1),
        "pitched": functional.binary_cross_entropy_with_logits(output.pitched, labels.pitched),
        "instrument": cross_entropy(instruments, labels.instrument),
    }
    return torch.stack([LOSS_WEIGHTS[name] * part for name, part in parts.items()]).sum()


def family_counts(notes: StoredNotes) -> Tensor:
    """Number of notes of each family, int64 (11,)."""
    families = notes.labels(lambda store: store.family.astype(np.int64))
    return torch.from_numpy(np.bincount(families[families != UNKNOWN], minlength=len(FAMILIES)))


def family_weights(counts: Tensor) -> Tensor:
    """Weight of each family, float32 (11,): one over the root of its count, 1 for the mean note."""
    count = counts.double()
    weights = count.clamp_min(1).rsqrt()
    return (weights * (count.sum() / (weights * count).sum().clamp_min(1e-9))).float()
