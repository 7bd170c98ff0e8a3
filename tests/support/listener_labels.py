"""Labels of made-up batches."""

from __future__ import annotations

import torch
from torch import Tensor

from mechanical_ears.listening.training.labels import UNKNOWN, Labels


def make_labels(batch: int, **known: Tensor) -> Labels:
    """Labels of a batch, unknown except for the given ones; all notes are pitched."""
    names = ("key", "sounding", "family", "source", "velocity", "instrument")
    values = dict.fromkeys(names, torch.full((batch,), UNKNOWN))
    values |= {"qualities": torch.full((batch, 10), -1.0), "pitched": torch.ones(batch)}
    return Labels(**{**values, **known})
