"""Zones tile keys and velocities; loudness follows the velocity as told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.zones import (
    KEYS,
    Envelope,
    Loop,
    Response,
    Zone,
    bands,
    check_tiling,
    coverage,
    spread,
)


@given(st.sets(st.integers(0, 127), min_size=1, max_size=128), st.integers(1, 16))
def test_any_roots_and_layers_tile_everything_once(roots, layers):
    zones = [
        Zone("x", root, keys, velocities)
        for root, keys in zip(sorted(roots), spread(sorted(roots), KEYS), strict=True)
        for velocities in bands(layers)
    ]
    check_tiling(zones)
    assert (coverage(zones)[:, 1:] == 1).all()
    for zone in zones:
        assert zone.keys[0] <= zone.root <= zone.keys[1]
        for key in range(zone.keys[0], zone.keys[1] + 1):  # no other root is nearer
            assert all(abs(key - zone.root) <= abs(key - root) for root in roots)


@given(st.lists(st.integers(1, 126), min_size=1, max_size=5, unique=True), st.integers(0, 127))
def test_a_gap_or_an_overlap_is_found(centres, key):
    ranges = spread(sorted(centres), KEYS)
    zones = [Zone("x", root, keys) for root, keys in zip(sorted(centres), ranges, strict=True)]
    check_tiling(zones)
    with pytest.raises(EarsError, match="more than one zone sounds at key"):
        check_tiling([*zones, Zone("x", 60, (key, key))])
    with pytest.raises(EarsError, match="no zone sounds at key"):
        check_tiling(zones[1:])


def test_borders_stand_half_way():
    assert spread([60, 63, 69], KEYS) == [(0, 61), (62, 66), (67, 127)]
    assert bands(1) == [(1, 127)]
    assert bands(2) == [(1, 64), (65, 127)]
    assert [high - low + 1 for low, high in bands(5)] == [25, 26, 25, 26, 25]


@pytest.mark.parametrize("centres", [[60, 60], [63, 60], [-1], [128]])
def test_centres_that_make_no_sense(centres):
    with pytest.raises(EarsError):
        spread(centres, KEYS)


def test_responses():
    steep = Response(power=3)
    assert steep.gain(127) == 1
    assert 20 * np.log10(steep.gain(64)) == pytest.approx(60 * np.log10(64 / 127))
    square = Response()
    assert 40 * np.log10(64 / 127) == pytest.approx(20 * np.log10(square.gain(64)))
    assert Response(track=0).gain(1) == 1
    assert Response(track=0.5).gain(0) == pytest.approx(0.5)
    curve = Response(curve=((64, 0.5), (100, 0.9)))
    assert curve.gain(64) == 0.5
    assert curve.gain(82) == pytest.approx(0.7)
    assert curve.gain(127) == 1
    assert steep.nearest_power() == 3
    same = Response(curve=tuple((v, steep.gain(v)) for v in range(1, 128)))
    assert same.nearest_power() == pytest.approx(3)
    assert Response(track=0).nearest_power() == 0


def test_a_round_robin_tiles_as_one():
    zones = [Zone("x", 60, turn=(turn, 3)) for turn in (1, 2, 3)]
    check_tiling(zones)
    assert [sum(z.sounds_at(60, 100, take) for z in zones) for take in range(7)] == [1] * 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: Zone("x", 128),
        lambda: Zone("x", 60, (61, 60)),
        lambda: Zone("x", 60, (0, 128)),
        lambda: Zone("x", 60, cents=float("nan")),
        lambda: Loop(5, 5),
        lambda: Loop(-1, 5),
        lambda: Envelope(release=-1),
        lambda: bands(0),
    ],
)
def test_what_cannot_be(make):
    with pytest.raises(EarsError):
        make()
