"""The losses, against their closed forms."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.losses import (
    gradient_penalty,
    reconstruction_loss,
    relativistic_critic_loss,
    relativistic_generator_loss,
    sliced_distance,
)


def test_equal_scores_cost_log_two():
    scores = torch.tensor([3.0, -1.0, 0.0])
    assert float(relativistic_critic_loss(scores, scores)) == pytest.approx(math.log(2))
    assert float(relativistic_generator_loss(scores, scores)) == pytest.approx(math.log(2))


def test_softplus_of_the_difference():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([0.5, 1.0])
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(1.0))) / 2
    assert float(relativistic_critic_loss(real, fake)) == pytest.approx(expected)
    assert float(relativistic_generator_loss(fake, real)) == pytest.approx(expected)
    shifted = float(relativistic_critic_loss(real + 5, fake + 5))
    assert shifted == pytest.approx(expected), "only differences matter"


def test_penalty_of_a_linear_score_is_its_weights_squared():
    weights = torch.tensor([3.0, -4.0], requires_grad=True)
    views = torch.randn(7, 2, requires_grad=True)
    penalty = gradient_penalty(views @ weights, views)
    assert float(penalty.detach()) == pytest.approx(25.0)
    penalty.backward()
    assert weights.grad.tolist() == pytest.approx([6.0, -8.0]), "a second derivative"


def test_penalty_of_a_square_and_of_views_of_more_dimensions():
    views = torch.tensor([[1.0, 2.0], [0.0, 3.0]], requires_grad=True)
    penalty = gradient_penalty(views.square().sum(dim=1), views)
    assert float(penalty) == pytest.approx((4 * 5 + 4 * 9) / 2)
    views = torch.ones(3, 2, 5, requires_grad=True)
    assert float(gradient_penalty(views.sum(dim=(1, 2)), views)) == pytest.approx(10)


def test_reconstruction_of_a_known_difference():
    """Cells: √((2 · 3)² / 4 + 0.001); level: 0.5 · 10 dB; view: (2 · 5)² over two components."""
    codec = Codec(torch.zeros(4), torch.zeros(4, 2), torch.tensor([3.0, 1.0]))
    targets = torch.tensor([[1.0, 7.0, -2.0]])
    latents = targets + torch.tensor([[-0.5, 2.0, 0.0]])
    scale = torch.tensor([100.0, 5.0, 1.0])  # the level's has no effect
    expected = 0.3 * (math.sqrt(9 + 1e-3) + 0.25 * 5) + 0.5 * 100 / 2
    assert float(reconstruction_loss(latents, targets, codec, scale)) == pytest.approx(expected)
    exact = float(reconstruction_loss(targets, targets, codec, scale))
    assert exact == pytest.approx(0.3 * math.sqrt(1e-3))


def test_sliced_distance_is_independent_of_order():
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(50, 1, generator=rng)
    shuffled = values[torch.randperm(50, generator=rng)]
    assert float(sliced_distance(values, shuffled, rng)) == 0
    assert float(sliced_distance(values, shuffled + 3, rng)) == pytest.approx(9, rel=1e-4)
    many = torch.randn(50, 20, generator=rng)
    moved = many + 2.0  # by 2 in each of 20 dimensions: 80 in all, along any directions
    mean = sum(float(sliced_distance(many, moved, rng)) for _ in range(20)) / 20
    assert mean == pytest.approx(80, rel=0.1)
