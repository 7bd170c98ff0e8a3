"""The detail of a recording on another outline."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.imagining.recording_detail import detailed
from mechanical_ears.imagining.residual import louder
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_grid import to_control_grid, to_control_maps
from mechanical_ears.resynthesis.control_map import SINGLES
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.resynthesis.synthesis.render import render


@pytest.fixture(scope="module")
def recorded():
    """A note of the toy corpus, taken apart."""
    note = Toy(1, instruments=1, pitches=(60,), velocities=(100,), sample_rate=44_100).note(0)
    return analyse(note)


def test_on_its_own_outline_a_recording_is_itself(recorded):
    back = detailed(to_control_grid(recorded), recorded, 1.0, 3)
    assert back.seconds == pytest.approx(recorded.seconds)
    original = render(recorded, sample_rate=44_100).samples
    near = spectral_distance(original, render(back, sample_rate=44_100).samples, 44_100)
    (plain,) = to_control_maps(to_control_grid(recorded), [60])
    coarse = spectral_distance(
        original, render(plain, sample_rate=44_100, phases=False).samples, 44_100
    )
    assert near.lsd < 1
    assert near.lsd < 0.5 * coarse.lsd


def test_it_is_as_loud_as_is_wanted(recorded):
    back = detailed(louder(to_control_grid(recorded), -12.0), recorded, 1.0, 3)
    soft, loud = (render(each, sample_rate=16_000).samples for each in (back, recorded))
    power = [np.square(samples, dtype=np.float64).mean() for samples in (soft, loud)]
    assert 10 * np.log10(power[1] / power[0]) == pytest.approx(12, abs=0.2)


def test_without_weight_only_the_outline_is_left(recorded):
    told = to_control_grid(recorded)
    back = detailed(told, recorded, 0.0, 3)
    (plain,) = to_control_maps(told, [60])
    middle = slice(50, 90)  # frames of the sustain, where both grids stand close
    rows = back.partials[:6, :].astype(np.float32)
    wanted = np.stack(
        [np.interp(back.times, plain.times, row) for row in plain.partials[:6].astype(np.float32)]
    )
    assert np.abs(rows - wanted)[:, middle].max() < 1.5
    assert back.phases.shape[0] == SINGLES + 8


def test_the_same_seed_is_the_same_map(recorded):
    told = to_control_grid(recorded)
    one, two = (detailed(told, recorded, 0.5, 9) for _ in range(2))
    np.testing.assert_array_equal(one.phases, two.phases)
    np.testing.assert_array_equal(one.partials, two.partials)
