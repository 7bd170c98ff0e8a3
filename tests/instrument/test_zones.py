"""Zones: tiling of keys and velocities, velocity responses, refused values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.zones import (
    KEY_RANGE,
    Envelope,
    Loop,
    VelocityResponse,
    Zone,
    check_tiling,
    count_zones,
    layer_ranges,
    tile_range,
)


@given(st.sets(st.integers(0, 127), min_size=1, max_size=128), st.integers(1, 16))
def test_any_roots_and_layers_tile_everything_once(roots, layers):
    zones = [
        Zone("x", root, keys, velocities)
        for root, keys in zip(sorted(roots), tile_range(sorted(roots), KEY_RANGE), strict=True)
        for velocities in layer_ranges(layers)
    ]
    check_tiling(zones)
    assert (count_zones(zones)[:, 1:] == 1).all()
    for zone in zones:
        assert zone.keys[0] <= zone.root <= zone.keys[1]
        for key in range(zone.keys[0], zone.keys[1] + 1):  # no other root is nearer
            assert all(abs(key - zone.root) <= abs(key - root) for root in roots)


@given(st.lists(st.integers(1, 126), min_size=1, max_size=5, unique=True), st.integers(0, 127))
def test_a_gap_or_an_overlap_is_found(centres, key):
    ranges = tile_range(sorted(centres), KEY_RANGE)
    zones = [Zone("x", root, keys) for root, keys in zip(sorted(centres), ranges, strict=True)]
    check_tiling(zones)
    with pytest.raises(EarsError, match="more than one zone plays at key"):
        check_tiling([*zones, Zone("x", 60, (key, key))])
    with pytest.raises(EarsError, match="no zone plays at key"):
        check_tiling(zones[1:])


def test_borders_lie_half_way_between_centres():
    assert tile_range([60, 63, 69], KEY_RANGE) == [(0, 61), (62, 66), (67, 127)]
    assert layer_ranges(1) == [(1, 127)]
    assert layer_ranges(2) == [(1, 64), (65, 127)]
    assert [high - low + 1 for low, high in layer_ranges(5)] == [25, 26, 25, 26, 25]


@pytest.mark.parametrize("centres", [[60, 60], [63, 60], [-1], [128]])
def test_centres_out_of_order_or_range_are_refused(centres):
    with pytest.raises(EarsError):
        tile_range(centres, KEY_RANGE)


def test_gain_of_velocity_responses():
    steep = VelocityResponse(power=3)
    assert steep.gain(127) == 1
    assert 20 * np.log10(steep.gain(64)) == pytest.approx(60 * np.log10(64 / 127))
    square = VelocityResponse()
    assert 40 * np.log10(64 / 127) == pytest.approx(20 * np.log10(square.gain(64)))
    assert VelocityResponse(tracking=0).gain(1) == 1
    assert VelocityResponse(tracking=0.5).gain(0) == pytest.approx(0.5)
    curve = VelocityResponse(curve=((64, 0.5), (100, 0.9)))
    assert curve.gain(64) == 0.5
    assert curve.gain(82) == pytest.approx(0.7)
    assert curve.gain(127) == 1
    assert steep.fit_power() == 3
    same = VelocityResponse(curve=tuple((v, steep.gain(v)) for v in range(1, 128)))
    assert same.fit_power() == pytest.approx(3)
    assert VelocityResponse(tracking=0).fit_power() == 0


def test_a_round_robin_tiles_as_one():
    zones = [Zone("x", 60, round_robin=(position, 3)) for position in (1, 2, 3)]
    check_tiling(zones)
    assert [sum(z.plays_at(60, 100, number) for z in zones) for number in range(7)] == [1] * 7


@pytest.mark.parametrize(
    "build",
    [
        lambda: Zone("x", 128),
        lambda: Zone("x", 60, (61, 60)),
        lambda: Zone("x", 60, (0, 128)),
        lambda: Zone("x", 60, cents=float("nan")),
        lambda: Loop(5, 5),
        lambda: Loop(-1, 5),
        lambda: Envelope(release=-1),
        lambda: layer_ranges(0),
    ],
)
def test_values_out_of_range_are_refused(build):
    with pytest.raises(EarsError):
        build()
