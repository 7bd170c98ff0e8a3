"""The learning-rate schedule and the moving average against their formulas, worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mechanical_ears.training.schedules import (
    moving_average,
    schedule,
    set_updates,
    warm_up_cosine,
)


def test_factor_rises_in_a_line_and_falls_along_a_cosine() -> None:
    factor = warm_up_cosine(warm_up=4, steps=12, last_share=0.2)
    assert [factor(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert factor(4) == 1.0
    assert factor(6) == pytest.approx(0.2 + 0.8 * (2 + 2**0.5) / 4)  # a quarter of the way
    assert factor(8) == pytest.approx(0.6)  # half way: the mean of 1 and 0.2
    assert factor(12) == pytest.approx(0.2)


def test_schedule_sets_the_rates_of_every_group_and_goes_on() -> None:
    def rates(done: int, steps: int) -> list[list[float]]:
        groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.1)]
        optimiser = torch.optim.SGD(groups)
        scheduler = schedule(optimiser, warm_up_cosine(2, 6, 0.0), done)
        table = []
        for _ in range(steps):
            table.append([group["lr"] for group in optimiser.param_groups])
            optimiser.step()
            scheduler.step()
        return table

    whole = rates(0, 6)
    assert whole[0] == pytest.approx([0.5, 0.05])
    assert whole[4] == pytest.approx([0.5, 0.05])  # half way down
    assert rates(3, 3) == whole[3:]


def test_average_follows_its_formula_from_the_first_weights() -> None:
    model = nn.BatchNorm1d(1)
    nn.init.constant_(model.weight, 8.0)
    average = moving_average(model, lambda update: [0.5, 0.25, 1.0][update])
    means = []
    for value in (0.0, 8.0, 3.0):
        nn.init.constant_(model.weight, value)
        model.running_mean.fill_(value)  # type: ignore[union-attr, operator]
        model.num_batches_tracked.fill_(int(value))  # type: ignore[union-attr, operator]
        average.update_parameters(model)
        state = average.module.state_dict()
        means.append([float(state[key]) for key in ("weight", "running_mean")])
        assert int(state["num_batches_tracked"]) == int(value)  # integers are copied
    # 8 → 8 + ½·(0 − 8) = 4 → 4 + ¼·(8 − 4) = 5 → 3; and from a running mean of 0
    assert means == [[4.0, 0.0], [5.0, 2.0], [3.0, 3.0]]
    assert not any(weight.requires_grad for weight in average.parameters())


def test_average_goes_on_as_if_it_had_not_been_interrupted() -> None:
    def share(update: int) -> float:
        return 1 / (update + 2)  # the plain mean of all weights, the first ones included

    model = nn.Linear(1, 1, bias=False)
    values = [2.0, 4.0, 9.0, 1.0]
    nn.init.constant_(model.weight, values[0])
    average = moving_average(model, share)
    for value in values[1:3]:
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
    resumed = moving_average(model, share)
    resumed.module.load_state_dict(average.module.state_dict())
    set_updates(resumed, 2)
    nn.init.constant_(model.weight, values[3])
    for each in (average, resumed):
        each.update_parameters(model)
        assert float(each.module.weight) == pytest.approx(sum(values) / 4)
