"""Loudness rises with velocity as the instrument's own does, without a step between layers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanical_ears.instrument.velocity_curve import POWERS, SQUARE, rising, steps, touches
from mechanical_ears.instrument.zones import bands

VELOCITIES = (25, 64, 107)


def told(levels, velocities, layers):
    """The level at each velocity 1..127."""
    made = touches(levels, velocities, layers)
    heard = np.full(128, np.nan)
    for touch, (low, high) in zip(made, layers, strict=True):
        for velocity in range(low, high + 1):
            heard[velocity] = touch.level + touch.power * float(steps([velocity])[0])
    return heard[1:]


def test_a_power_is_found():
    for power in (1.0, 2.0, 3.5):
        levels = [-20 + power * 20 * np.log10(v / 127) for v in VELOCITIES]
        for touch in touches(levels, VELOCITIES, bands(3)):
            assert touch.power == pytest.approx(power, abs=0.002)
            assert touch.level == pytest.approx(-20, abs=0.05)


def test_one_layer_follows_the_square():
    (touch,) = touches([-10.0], [100], bands(1))
    assert touch.power == SQUARE
    assert touch.level == pytest.approx(-10 + 40 * np.log10(127 / 100))


@given(st.lists(st.floats(-90, 0), min_size=2, max_size=5))
def test_no_border_is_heard_whatever_the_levels(levels):
    layers = bands(len(levels))
    velocities = [(low + high + 1) // 2 for low, high in layers]
    heard = told(levels, velocities, layers)
    powers = np.diff(heard) / np.diff(steps(range(1, 128)))
    assert powers.min() >= POWERS[0] - 0.05
    assert powers.max() <= POWERS[1] + 0.05
    assert heard[velocities[-1] - 1] == pytest.approx(levels[-1], abs=0.1)


def test_levels_are_made_to_rise():
    levels = np.array([-20.0, -22.0, -10.0])
    made = rising(levels, VELOCITIES)
    least = POWERS[0] * np.diff(steps(VELOCITIES))
    assert made[1:].tolist() == [-22.0, -10.0]
    assert made[1] - made[0] == pytest.approx(least[0])
    as_it_is = np.array([-40.0, -25.0, -18.0])
    assert rising(as_it_is, VELOCITIES).tolist() == as_it_is.tolist()
