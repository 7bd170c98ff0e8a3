"""The plot of an instrument: zones, tuning, loudness and a loop."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from mechanical_ears.instrument.plots import plot_instrument
from mechanical_ears.pictures import ACCENT, encode_png
from support.toy_instruments import POWER, sine_instrument


@pytest.fixture(scope="module")
def axes():
    return plot_instrument(sine_instrument(3)).axes


def boxes(panel):
    return [patch for patch in panel.patches if isinstance(patch, Rectangle)]


def test_zones_tile_the_panel(axes):
    assert axes[0].get_title("left").startswith("Sines: 9 zones, 3 velocity layers, 9 looped")
    area = sum(box.get_width() * box.get_height() for box in boxes(axes[0]))
    assert area == pytest.approx(128 * 127)
    assert {box.get_xy() for box in boxes(axes[0])} == {
        (zone.keys[0] - 0.5, zone.velocities[0] - 0.5) for zone in sine_instrument(3).zones
    }


def test_recorded_keys_are_marked_on_the_keyboard(axes):
    marked = [n for n, box in enumerate(boxes(axes[1])) if to_hex(box.get_facecolor()) == ACCENT]
    assert marked == [48, 60, 72]


def test_cents_are_those_of_the_zones(axes):
    drawn = {(line.get_xdata()[-1], line.get_ydata()[-1]) for line in axes[2].lines[1:]}
    assert {(zone.root, zone.cents) for zone in sine_instrument(3).zones} <= drawn


def test_the_loop_is_marked(axes):
    assert "loop of 0.80 s, release 0.3 s" in axes[3].get_title("left")
    (shade,) = boxes(axes[3])
    assert (shade.get_x(), shade.get_width()) == (pytest.approx(0.1), pytest.approx(0.8))


def test_loudness_follows_the_velocity(axes):
    curves = [line for line in axes[4].lines if len(line.get_xdata()) == 127]
    assert [line.get_label() for line in curves] == ["C3", "C4", "C5"]
    for line in curves:
        expected = 20 * POWER * np.log10(line.get_xdata() / 127)
        np.testing.assert_allclose(line.get_ydata()[15:], expected[15:], atol=0.1)


def test_one_zone_is_drawn():
    assert encode_png(plot_instrument(sine_instrument(1, (60,)))).startswith(b"\x89PNG")
