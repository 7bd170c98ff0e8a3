"""Exported samples of imagined instruments have no steps, and loops without jumps."""

import pytest

from export_steps import EDGES, measure_samples
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument

pytestmark = pytest.mark.slow

SEEDS = (1, 5, 502)  # a percussive one, a brass, a voice with slow attacks
PLAN = SamplingPlan(key_step=12, layers=2, hold_seconds=3.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_exported_samples_have_no_steps(seed):
    figures = measure_samples(sample_instrument(imagine(seed), PLAN))
    assert figures.samples == 14
    assert figures.steps == dict.fromkeys(EDGES, 0)
    assert figures.loud_ends == 0
    assert len(figures.jumps) == len(figures.loop_seconds) == (0 if seed == 1 else 14)
    assert all(jump.excess <= 1 for jump in figures.jumps)
    assert min(figures.loop_seconds, default=1.0) >= 1.0
