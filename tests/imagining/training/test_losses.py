"""The losses, against their closed forms."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.losses import (
    critic_loss,
    generator_loss,
    gradient_penalty,
    sliced_distance,
)


def test_who_cannot_tell_loses_log_two():
    scores = torch.tensor([3.0, -1.0, 0.0])
    assert float(critic_loss(scores, scores)) == pytest.approx(math.log(2))
    assert float(generator_loss(scores, scores)) == pytest.approx(math.log(2))


def test_softplus_of_the_difference():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([0.5, 1.0])
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(1.0))) / 2
    assert float(critic_loss(real, fake)) == pytest.approx(expected)
    assert float(generator_loss(fake, real)) == pytest.approx(expected)
    assert float(critic_loss(real + 5, fake + 5)) == pytest.approx(expected), "only differences"


def test_the_penalty_of_a_linear_score_is_its_weights_squared():
    weights = torch.tensor([3.0, -4.0], requires_grad=True)
    views = torch.randn(7, 2, requires_grad=True)
    penalty = gradient_penalty(views @ weights, views)
    assert float(penalty.detach()) == pytest.approx(25.0)
    penalty.backward()
    assert weights.grad.tolist() == pytest.approx([6.0, -8.0]), "a second derivative"


def test_the_penalty_of_a_square_and_of_pictures():
    views = torch.tensor([[1.0, 2.0], [0.0, 3.0]], requires_grad=True)
    penalty = gradient_penalty(views.square().sum(dim=1), views)
    assert float(penalty) == pytest.approx((4 * 5 + 4 * 9) / 2)
    pictures = torch.ones(3, 2, 5, requires_grad=True)
    assert float(gradient_penalty(pictures.sum(dim=(1, 2)), pictures)) == pytest.approx(10)


def test_sets_are_compared_whatever_their_order():
    lots = torch.Generator().manual_seed(0)
    values = torch.randn(50, 1, generator=lots)
    shuffled = values[torch.randperm(50, generator=lots)]
    assert float(sliced_distance(values, shuffled, lots)) == 0
    assert float(sliced_distance(values, shuffled + 3, lots)) == pytest.approx(9, rel=1e-4)
    many = torch.randn(50, 20, generator=lots)
    moved = many + 2.0  # by 2 in each of 20 directions: 80 in all, whichever way one looks
    mean = sum(float(sliced_distance(many, moved, lots)) for _ in range(20)) / 20
    assert mean == pytest.approx(80, rel=0.1)
