"""The fine detail of a recording, added to the control grid of a note."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.imagining.recording_detail import add_detail
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_grid import to_control_grid, to_control_maps
from mechanical_ears.resynthesis.control_map import SINGLES
from mechanical_ears.resynthesis.grid_features import apply_gain
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.resynthesis.synthesis.render import render


@pytest.fixture(scope="module")
def recorded():
    """The control map of a note of the toy corpus."""
    note = Toy(1, instruments=1, pitches=(60,), velocities=(100,), sample_rate=44_100).note(0)
    return analyse(note)


def test_on_its_own_grid_a_recording_is_itself(recorded):
    result = add_detail(to_control_grid(recorded), recorded, 1.0, 3)
    assert result.seconds == pytest.approx(recorded.seconds)
    original = render(recorded, sample_rate=44_100).samples
    near = spectral_distance(original, render(result, sample_rate=44_100).samples, 44_100)
    (without,) = to_control_maps(to_control_grid(recorded), [60])
    coarse = spectral_distance(
        original, render(without, sample_rate=44_100, phases=False).samples, 44_100
    )
    assert near.lsd < 1
    assert near.lsd < 0.5 * coarse.lsd


def test_it_is_as_loud_as_the_grid(recorded):
    result = add_detail(apply_gain(to_control_grid(recorded), -12.0), recorded, 1.0, 3)
    soft, loud = (render(each, sample_rate=16_000).samples for each in (result, recorded))
    power = [np.square(samples, dtype=np.float64).mean() for samples in (soft, loud)]
    assert 10 * np.log10(power[1] / power[0]) == pytest.approx(12, abs=0.2)


def test_without_weight_only_the_grid_is_left(recorded):
    grid = to_control_grid(recorded)
    result = add_detail(grid, recorded, 0.0, 3)
    (plain,) = to_control_maps(grid, [60])
    middle = slice(50, 90)  # frames of the sustain, where the frames of both are close together
    rows = result.partials[:6, :].astype(np.float32)
    expected = np.stack(
        [np.interp(result.times, plain.times, row) for row in plain.partials[:6].astype(np.float32)]
    )
    assert np.abs(rows - expected)[:, middle].max() < 1.5
    assert result.phases.shape[0] == SINGLES + 8


def test_the_same_seed_gives_the_same_map(recorded):
    grid = to_control_grid(recorded)
    first, second = (add_detail(grid, recorded, 0.5, 9) for _ in range(2))
    np.testing.assert_array_equal(first.phases, second.phases)
    np.testing.assert_array_equal(first.partials, second.partials)
