"""Curves of loudness over velocity: powers found, no step between layers, slopes limited."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanical_ears.instrument.velocity_curve import (
    DEFAULT_POWER,
    POWER_RANGE,
    fit_layer_curves,
    limit_slopes,
    velocity_to_db,
)
from mechanical_ears.instrument.zones import layer_ranges

VELOCITIES = (25, 64, 107)


def levels_by_velocity(levels, velocities, layers):
    """The level at each velocity 1..127, dB."""
    curve = np.full(128, np.nan)
    fitted = fit_layer_curves(levels, velocities, layers)
    for layer, (low, high) in zip(fitted, layers, strict=True):
        for velocity in range(low, high + 1):
            curve[velocity] = layer.level + layer.power * float(velocity_to_db([velocity])[0])
    return curve[1:]


def test_a_power_is_found():
    for power in (1.0, 2.0, 3.5):
        levels = [-20 + power * 20 * np.log10(v / 127) for v in VELOCITIES]
        for curve in fit_layer_curves(levels, VELOCITIES, layer_ranges(3)):
            assert curve.power == pytest.approx(power, abs=0.002)
            assert curve.level == pytest.approx(-20, abs=0.05)


def test_curves_of_two_layers_by_hand():
    """Levels −30 and −10 dB at velocities 32 and 100, a border at 64.5."""
    x = [20 * np.log10(v / 127) for v in (32, 64.5, 100)]
    border = -30 + 20 * (x[1] - x[0]) / (x[2] - x[0])
    soft, loud = fit_layer_curves([-30, -10], [32, 100], [(1, 64), (65, 127)])
    assert soft.power == loud.power == pytest.approx(20 / (x[2] - x[0]), abs=1 / 480)
    assert soft.level == pytest.approx(border - soft.power * x[1], abs=0.02)
    assert loud.level == pytest.approx(-10 - loud.power * x[2], abs=0.02)
    assert velocity_to_db([127, 12.7]).tolist() == pytest.approx([0, -20])


def test_one_layer_has_the_default_power():
    (curve,) = fit_layer_curves([-10.0], [100], layer_ranges(1))
    assert curve.power == DEFAULT_POWER
    assert curve.level == pytest.approx(-10 + 40 * np.log10(127 / 100))


@given(st.lists(st.floats(-90, 0), min_size=2, max_size=5))
def test_slopes_stay_in_range_across_borders(levels):
    layers = layer_ranges(len(levels))
    velocities = [(low + high + 1) // 2 for low, high in layers]
    curve = levels_by_velocity(levels, velocities, layers)
    powers = np.diff(curve) / np.diff(velocity_to_db(range(1, 128)))
    assert powers.min() >= POWER_RANGE[0] - 0.05
    assert powers.max() <= POWER_RANGE[1] + 0.05
    assert curve[velocities[-1] - 1] == pytest.approx(levels[-1], abs=0.1)


def test_slopes_are_limited():
    levels = np.array([-20.0, -22.0, -10.0])
    limited = limit_slopes(levels, VELOCITIES)
    minimum = POWER_RANGE[0] * np.diff(velocity_to_db(VELOCITIES))
    assert limited[1:].tolist() == [-22.0, -10.0]
    assert limited[1] - limited[0] == pytest.approx(minimum[0])
    unchanged = np.array([-40.0, -25.0, -18.0])
    assert limit_slopes(unchanged, VELOCITIES).tolist() == unchanged.tolist()
