"""Timelines: where times of a sound are in its map, and how fast rows decay."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.control_map import SILENCE_DB, frame_times
from mechanical_ears.resynthesis.synthesis.timeline import (
    ATTACK_SECONDS,
    MAX_LOOP_SHARE,
    decay_slopes,
    make_timeline,
)


def test_the_maps_own_length():
    timeline = make_timeline(4.0, 3.0, None)
    times = np.linspace(0, 4, 50)
    assert (timeline.key_up, timeline.seconds, timeline.loop_seconds) == (3.0, 4.0, 0.0)
    np.testing.assert_array_equal(timeline.map_times(times), times)


def test_an_earlier_release():
    timeline = make_timeline(4.0, 3.0, 2.0)  # 1 s of sustain, 1 s of release
    assert timeline.key_up == 1.0
    found = timeline.map_times(np.array([0.0, 0.5, 1.0, 1.0001, 1.5, 2.0]))
    np.testing.assert_allclose(found, [0, 0.5, 1.0, 3.0001, 3.5, 4.0])


@pytest.mark.parametrize("seconds", [4.5, 7.0, 20.0])
def test_a_longer_sustain_goes_back_and_forth(seconds):
    timeline = make_timeline(4.0, 3.0, seconds)
    loop = timeline.loop_seconds
    assert timeline.key_up == seconds - 1
    assert 0 < loop <= MAX_LOOP_SHARE * (3.0 - ATTACK_SECONDS) + 1e-9
    assert (timeline.key_up - 3.0) / (2 * loop) == pytest.approx(round((seconds - 4) / (2 * loop)))
    before = np.linspace(0, 3, 20)
    np.testing.assert_allclose(timeline.map_times(before), before)
    turns = 3.0 + np.array([0, 0.5, 1, 1.5, 2]) * loop
    np.testing.assert_allclose(timeline.map_times(turns), 3 - np.array([0, 0.5, 1, 0.5, 0]) * loop)
    release = np.linspace(seconds - 1, seconds, 20)
    np.testing.assert_allclose(timeline.map_times(release), release - (seconds - 4))
    fine = np.linspace(0, seconds, 5001)
    assert np.abs(np.diff(timeline.map_times(fine))).max() < 1.01 * seconds / 5000  # no jumps


def test_slopes_of_decaying_rows():
    timeline = make_timeline(4.0, 3.0, 8.0)
    times = frame_times(4.0, 3.0, 144)
    slopes = np.array([-20.0, -1.0, 5.0, -1000.0])
    rows = slopes[:, None] * times
    rows[3] = np.maximum(-40 - 1000 * (times - 2.9), SILENCE_DB + 2)
    silent = np.full((1, len(times)), SILENCE_DB)
    found = decay_slopes(times, np.concatenate([rows, silent]).astype(np.float32), timeline)
    assert found[:3].tolist() == pytest.approx([-20, 0, 0], abs=1e-3)  # steady, rising: held
    assert -400 <= found[3] < -3
    assert found[4] == 0
    unchanged = make_timeline(4.0, 3.0, None)
    assert not decay_slopes(times, rows.astype(np.float32), unchanged).any()
