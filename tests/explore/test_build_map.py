"""Building a map: seeds, layout, and resuming an interrupted run."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.build_map import MapBuilder, layout, seeds_and_families
from mechanical_ears.explore.sound_map import SHIPPED_MAP, SoundMap
from mechanical_ears.note import FAMILIES

pytestmark = pytest.mark.slow


def test_the_layout_keeps_clusters_together():
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(4, 8)) * 10
    groups = np.repeat(np.arange(4), 40)
    profiles = (centres[groups] + generator.normal(size=(160, 8))).astype(np.float32)
    positions = layout(profiles, None)
    assert np.abs(positions).max() <= 1
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (groups[distances.argmin(axis=1)] == groups).all()
    np.testing.assert_array_equal(positions, layout(profiles, None))


def test_all_families_are_equally_frequent_from_the_start():
    pairs = seeds_and_families(100)
    assert [family for _, family in pairs[:11]] == list(FAMILIES)
    assert len(set(pairs)) == 100
    assert seeds_and_families(22) == pairs[:22]


def test_an_interrupted_build_is_resumed_and_gives_the_shipped_map(tmp_path):
    part = tmp_path / "map.part.npz"
    steps = []

    def stop_after_six(done, total):
        steps.append(done)
        if done == 6:
            first.stop()

    first = MapBuilder(None, 11, 1, part)
    with pytest.raises(EarsError):
        first.run(stop_after_six)
    assert steps[-1] == 6
    steps = []
    sound_map = MapBuilder(None, 11, 1, part).run(lambda done, total: steps.append(done))
    assert (steps[0], steps[-1], len(sound_map)) == (6, 11, 11)
    assert sound_map.ids == SoundMap.load(SHIPPED_MAP).first(11).ids


def test_rows_of_another_version_are_discarded(tmp_path):
    part = tmp_path / "map.part.npz"

    def stop_after_four(done, total):
        if done == 4:
            first.stop()

    first = MapBuilder(None, 11, 1, part)
    with pytest.raises(EarsError):
        first.run(stop_after_four)
    with np.load(part) as file:
        columns = dict(file)
    columns["gain"] += 0.01
    np.savez(part, **columns)
    steps = []
    second = MapBuilder(None, 11, 1, part)

    def stop_at_once(done, total):
        steps.append(done)
        second.stop()

    with pytest.raises(EarsError):
        second.run(stop_at_once)
    assert steps[0] == 0
