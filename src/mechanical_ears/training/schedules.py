"""Learning-rate schedule and moving average of weights, on torch's `LambdaLR` and `AveragedModel`.

Learning rate at step t of T, as a share of the highest, with W warm-up steps and the last share m
(cosine annealing: Loshchilov & Hutter, "SGDR", 2017, without restarts):

    t < W    (t + 1) / W
    t ≥ W    m + (1 − m) · ½ · (1 + cos(π · (t − W) / (T − W)))

Moving average of the weights w, after update n (Polyak & Juditsky 1992; Karras et al., "Progressive
growing of GANs", 2018):

    a ← a + s(n) · (w − a)        a = w before the first update

The share s may depend on n, so that a young average does not remember the first random weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel


def warm_up_cosine(warm_up: int, steps: int, last_share: float) -> Callable[[int], float]:
    """Learning rate as a share of the highest: up in a line, then down along a cosine.

    Args:
        warm_up: steps until the highest rate.
        steps: of the whole training.
        last_share: of the highest rate, at the end.

    Returns:
        The factor of each step, counted from 0.
    """

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step - warm_up) / max(1, steps - warm_up)
        return last_share + (1 - last_share) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


def schedule(
    optimiser: torch.optim.Optimizer, factor: Callable[[int], float], done: int = 0
) -> LambdaLR:
    """Scheduler of a training that goes on after ``done`` steps; call its ``step`` after each.

    Checkpoints need not keep it: its state is the number of steps.

    Args:
        optimiser: with the highest learning rate set.
        factor: of each step, see `warm_up_cosine`.
        done: steps of the training before.
    """
    return LambdaLR(optimiser, lambda step: factor(done + step))


def moving_average(model: nn.Module, share: Callable[[int], float]) -> AveragedModel:
    """Exponential moving average of a model's weights and buffers (integers are copied).

    Args:
        model: whose weights as they are now begin the average.
        share: of the model in the average at each update, counted from 0.

    Returns:
        A copy of the model in ``module``, which needs no gradients; call its
        ``update_parameters(model)`` after each step. Checkpoints keep ``module`` alone; after
        reading one, call `set_updates`.
    """
    average = AveragedModel(model, multi_avg_fn=_lerp(share), use_buffers=True)
    set_updates(average, 0)
    return average.requires_grad_(False)


def set_updates(average: AveragedModel, done: int) -> None:
    """Set how many updates an average has had, after its weights were read from a checkpoint."""
    average.n_averaged.fill_(done + 1)  # torch would copy the model at 0


Tensors = tuple[Tensor, ...] | list[Tensor]


def _lerp(share: Callable[[int], float]) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    @torch.no_grad()
    def update(averages: Tensors, weights: Tensors, count: Tensor | int) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, weights, share(int(count) - 1))
        else:
            torch._foreach_copy_(averages, weights)

    return update
