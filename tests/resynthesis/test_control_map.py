"""Control maps: frequencies, frames and bands with known answers; what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    GROUPS,
    MAX_FREQUENCY,
    PARTIALS,
    SINGLES,
    ControlMapError,
    band_centres,
    band_edges,
    frame_times,
    group_positions,
    group_weights,
    stiff_string_ratios,
)
from support.toy_control_maps import make_control_map


def test_partials_of_a_stiff_string():
    """f_n = n f_0 √(1 + B n²) (Fletcher 1964), relative to the first."""
    numbers, inharmonicity = np.arange(1.0, 20), 4e-4
    expected = numbers * np.sqrt(1 + inharmonicity * numbers**2)
    found = stiff_string_ratios(numbers, inharmonicity)
    np.testing.assert_allclose(found, expected / expected[0], rtol=1e-12)
    np.testing.assert_array_equal(stiff_string_ratios(numbers, 0.0), numbers)


def test_frequencies():
    offsets = np.zeros(SINGLES, dtype=np.float16)
    offsets[2] = 50
    modes = np.zeros(8, dtype=np.float32)
    modes[1] = 2.4
    control_map = make_control_map(200.0, divisor=2, offsets=offsets, modes=modes)
    found = control_map.frequencies
    assert found[:4].tolist() == pytest.approx([100, 200, 300 * 2 ** (50 / 1200), 400])
    assert found[PARTIALS - 1] == pytest.approx(100 * PARTIALS)
    assert found[PARTIALS:].tolist() == pytest.approx([0, 480, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("frames", FRAME_COUNTS)
@pytest.mark.parametrize(("seconds", "key_up"), [(4.0, 3.0), (0.3, 0.2), (20.0, 19.0), (2.0, 2.0)])
def test_frames(frames, seconds, key_up):
    times = frame_times(seconds, key_up, frames)
    assert len(times) == frames
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert np.abs(times - key_up).min() < 1e-9  # a frame is at the key-up
    assert times[-1] == pytest.approx(max(seconds, key_up + 0.1))
    if key_up > 2:
        assert times[1] == pytest.approx(0.004 * FRAME_COUNTS[0] / frames)


def test_bands_are_even_in_erbs():
    def erbs(hertz):
        return 21.4 * np.log10(1 + hertz / 228.8)

    edges = band_edges()
    assert edges[[0, -1]] == pytest.approx([0, MAX_FREQUENCY])
    np.testing.assert_allclose(np.diff(erbs(edges)), erbs(MAX_FREQUENCY) / BANDS)
    assert ((band_centres() > edges[:-1]) & (band_centres() < edges[1:])).all()


def test_the_envelope_interpolates_over_log_frequency():
    weights = group_weights()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    numbers = np.arange(SINGLES + 1, PARTIALS + 1)
    expected = np.interp(np.log(numbers), np.log(group_positions()), np.arange(GROUPS))
    np.testing.assert_allclose(weights @ np.arange(GROUPS), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frequency": 0.0}, '"frequency" is 0.0, outside 1..100000'),
        ({"frequency": float("nan")}, '"frequency" is nan, outside'),
        ({"divisor": 5}, '"divisor" is 5, outside 1..4'),
        ({"key_up": 9.0}, '"key_up" is 9.0, outside 0..4'),
        ({"cents": np.zeros(100, np.float16)}, "has 100 frames, not one of"),
        ({"fine": np.zeros(3, np.float16)}, '"fine" has the shape'),
        ({"modes": np.full(8, np.inf, np.float32)}, '"modes" contains numbers that are not finite'),
    ],
)
def test_values_out_of_range(changes, message):
    with pytest.raises(ControlMapError, match=message):
        dataclasses.replace(make_control_map(), **changes)
