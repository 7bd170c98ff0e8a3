"""The loss of the listener, worked by hand."""

import math

import pytest
import torch
from torch.nn import functional

from mechanical_ears.listening.training.labels import UNKNOWN
from mechanical_ears.listening.training.losses import (
    COSINE_SCALE,
    LOSS_WEIGHTS,
    InstrumentClassifier,
    family_weights,
    listener_loss,
)
from mechanical_ears.listening.training.network import Listener, ListenerOutput, example_inputs
from support.listener_labels import make_labels


def uniform_output(batch):
    """Logits of 0 for everything."""
    sizes = {"key": 128, "sounding": 128, "family": 11, "source": 3, "velocity": 5, "qualities": 10}
    logits = {name: torch.zeros(batch, size) for name, size in sizes.items()}
    return ListenerOutput(pitched=torch.zeros(batch), embedding=torch.zeros(batch, 96), **logits)


def test_unknown_labels_cost_nothing():
    torch.manual_seed(0)
    output = Listener().eval()(*example_inputs(4))
    instruments = torch.zeros(4, 7)
    nothing = listener_loss(
        output, instruments, make_labels(4, pitched=(output.pitched > 0).float())
    )
    assert nothing.item() < 0.3
    key = torch.tensor([60, UNKNOWN, UNKNOWN, UNKNOWN])
    loss = listener_loss(output, instruments, make_labels(4, key=key))
    expected = functional.cross_entropy(output.key[:1], torch.tensor([60]))
    pitched = functional.binary_cross_entropy_with_logits(output.pitched, torch.ones(4))
    torch.testing.assert_close(loss, expected + 0.3 * pitched)


def test_the_loss_of_uniform_predictions_is_the_weighted_sum_of_entropies():
    """Cross-entropy of n uniform classes is ln n, whatever the label; smoothing does not matter."""
    labels = make_labels(
        2,
        key=torch.tensor([60, 61]),
        sounding=torch.tensor([60, UNKNOWN]),
        family=torch.tensor([3, 10]),
        source=torch.tensor([0, 2]),
        velocity=torch.tensor([UNKNOWN, 4]),
        qualities=torch.tensor([[1.0] * 10, [-1.0] * 10]),
        instrument=torch.tensor([6, 0]),
    )
    classes = {
        "key": 128, "sounding": 128, "family": 11, "source": 3, "velocity": 5, "qualities": 2,
        "pitched": 2, "instrument": 7,
    }  # fmt: skip
    assert classes.keys() == LOSS_WEIGHTS.keys()
    expected = sum(LOSS_WEIGHTS[name] * math.log(count) for name, count in classes.items())
    loss = listener_loss(uniform_output(2), torch.zeros(2, 7), labels)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_family_weights_are_inverse_roots_of_counts():
    """Counts 1, 4, 9: weights ∝ 1, ½, ⅓, scaled to a mean of 1 over the 14 notes."""
    counts = torch.zeros(11, dtype=torch.int64)
    counts[[0, 4, 7]] = torch.tensor([1, 4, 9])
    weights = family_weights(counts)
    scale = 14 / (1 + 2 + 3)
    assert weights[[0, 4, 7]].tolist() == pytest.approx([scale, scale / 2, scale / 3])
    assert float((weights * counts).sum()) == pytest.approx(14)


def test_instruments_are_scored_by_the_cosine_of_the_embedding():
    classifier = InstrumentClassifier(lambda embedding: uniform_output(2)._replace(
        embedding=embedding
    ), 3, 2)  # fmt: skip
    classifier.instruments.data = torch.tensor([[2.0, 0.0], [0.0, -3.0], [5.0, 5.0]])
    _, logits = classifier((torch.tensor([[1.0, 0.0], [0.6, 0.8]]),))
    expected = [[1, 0, 2**-0.5], [0.6, -0.8, 1.4 * 2**-0.5]]
    torch.testing.assert_close(logits, COSINE_SCALE * torch.tensor(expected))
