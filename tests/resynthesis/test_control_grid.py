"""Control grids: maps come back from them, on the frames that all notes share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mechanical_ears.pitch import hz_to_midi
from mechanical_ears.resynthesis.control_grid import (
    GRID_FRAMES,
    GRID_NOISE_FRAMES,
    GRID_SHAPES,
    SLOT_CENTRES,
    SLOT_EDGES,
    SLOTS,
    concatenate_grids,
    fill_unknown,
    grid_times,
    known_mask,
    to_control_grid,
    to_control_maps,
)
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    GROUPS,
    MODES,
    NOISE_FRAMES,
    PARTIALS,
    ROWS,
    SILENCE_DB,
    SINGLES,
    ControlMapError,
    band_edges,
    frame_times,
    group_positions,
)
from support.toy_control_maps import make_control_map

UP = slice(SINGLES, SINGLES + GROUPS)


def full_map(**changes):
    """A map without an empty array, in which each row decays at its own rate."""
    control_map = make_control_map(110.0, sample_rate=44_100, **changes)
    fall = np.linspace(0, 12, ROWS)[:, None]  # dB a second
    rows = -20 - np.linspace(0, 40, ROWS)[:, None] - fall * control_map.times
    bands = -60 - np.arange(BANDS)[:, None] - 3 * control_map.noise_times
    return dataclasses.replace(
        control_map,
        partials=rows.astype(np.float16),
        noise=bands.astype(np.float16),
        cents=(5 * np.sin(2 * control_map.times)).astype(np.float16),
        offsets=np.linspace(-8, 8, SINGLES).astype(np.float16),
        fine=np.linspace(-6, 6, PARTIALS - SINGLES).astype(np.float16),
        modes=np.array(SLOT_CENTRES, dtype=np.float32),
        inharmonicity=2e-4,
    )


@pytest.mark.parametrize("frames", FRAME_COUNTS)
def test_a_map_comes_back(frames):
    control_map = full_map(frames=frames)
    grid = to_control_grid(control_map)
    for name, shape in GRID_SHAPES.items():
        assert getattr(grid, name).shape == (1, *shape), name
    (back,) = to_control_maps(grid, [hz_to_midi(110.0)])
    assert (back.divisor, back.seconds, back.key_up) == (1, 4.0, 3.0)
    at = back.times
    expected = np.array([np.interp(at, control_map.times, row) for row in control_map.partials])
    inside = slice(1, -1)  # the outermost frames average half a cell
    np.testing.assert_allclose(back.partials[:, inside], expected[:, inside], atol=0.3)  # dB
    np.testing.assert_allclose(back.noise[:, inside], control_map.noise[:, inside], atol=0.3)
    wobble = np.interp(at, control_map.times, control_map.cents)
    np.testing.assert_allclose(back.cents, wobble, atol=0.1)
    np.testing.assert_allclose(back.frequencies, control_map.frequencies, rtol=1e-5)
    np.testing.assert_array_equal(back.fine, control_map.fine)


def test_silent_rows_stay_silent():
    grid = to_control_grid(make_control_map(levels=(-20.0,)))
    assert grid.slots.max() == SILENCE_DB
    np.testing.assert_allclose(grid.ratios[0], SLOT_CENTRES)
    (back,) = to_control_maps(grid, [57.0])
    assert back.modes.tolist() == [0] * MODES
    assert back.inharmonicity == 0
    np.testing.assert_allclose(back.partials[0], -20, atol=0.01)
    assert back.partials[1:].max() == SILENCE_DB
    assert back.noise.max() == SILENCE_DB


def test_half_multiples_of_an_organ_are_in_slots():
    levels = np.full(20, SILENCE_DB)
    ratios = {0.5: -30.0, 1.0: -10.0, 1.5: -35.0, 2.0: -20.0, 2.5: -40.0, 4.5: -45.0, 3.5: -50.0}
    for ratio, level in ratios.items():
        levels[round(2 * ratio) - 1] = level
    organ = make_control_map(220.0, levels, divisor=2, fine=np.ones(PARTIALS - SINGLES, np.float16))
    organ.partials[UP] = -60
    grid = to_control_grid(organ)
    np.testing.assert_allclose(grid.partials[0, :2, 40], [-10, -20], atol=0.01)
    assert grid.partials[0, 2:].max() == SILENCE_DB  # the envelope is over half multiples: left out
    assert grid.fine.max() == 0
    strongest = {0.5: 1, 1.5: 2, 2.5: 3, 4.5: 4}  # 3.5 is weaker than 4.5, in the same slot
    for ratio, slot in strongest.items():
        assert SLOT_EDGES[slot] < ratio <= SLOT_EDGES[slot + 1]
        assert grid.ratios[0, slot] == pytest.approx(ratio)
        np.testing.assert_allclose(grid.slots[0, slot, 40], ratios[ratio], atol=0.01)
    silent = [slot for slot in range(SLOTS) if slot not in strongest.values()]
    assert grid.slots[0, silent].max() == SILENCE_DB


def test_frames_are_averaged_by_power():
    flicker = make_control_map(frames=FRAME_COUNTS[-1], levels=(0.0,))
    flicker.partials[0, 1::2] = -20
    row = to_control_grid(flicker).partials[0, 0]
    held = (grid_times() > 0.5) & (grid_times() < 2.5)  # dozens of frames in each cell
    np.testing.assert_allclose(row[held], 10 * np.log10((1 + 0.01) / 2), atol=0.25)


@pytest.mark.parametrize("held", [1.5, 3.0, 7.0])
def test_attack_and_release_are_kept_whatever_the_length(held):
    note = make_control_map(seconds=held + 1, key_up=held)
    times = note.times
    note.partials[0] = np.where(times < held, -20 + 10 * np.minimum(times, 0.5), -45)
    note.partials[0, times >= held] -= 20 * (times[times >= held] - held)
    row, at = to_control_grid(note).partials[0, 0], grid_times()
    attack = at < min(0.5, held / 2) - 0.05
    np.testing.assert_allclose(row[attack], -20 + 10 * at[attack], atol=0.2)
    middle = (at > 1) & (at < 2.8)
    np.testing.assert_allclose(row[middle], -15, atol=0.01)
    release = (at > 3.1) & (at < 3.9)
    np.testing.assert_allclose(row[release], -45 - 20 * (at[release] - 3), atol=0.2)


def test_a_grid_is_silent_behind_the_end_of_a_note():
    short = make_control_map(seconds=3.2, key_up=3.0)
    grid, at = to_control_grid(short), grid_times()
    assert grid.partials[0, :, at > 3.3].max() == SILENCE_DB
    np.testing.assert_allclose(grid.partials[0, 0, at < 3.1], -20, atol=0.01)


def test_rows_below_half_the_sample_rate_are_known():
    partials, bands = known_mask(make_control_map(1000.0, sample_rate=16_000))
    assert partials.sum() == 7  # 1 … 7 kHz
    assert partials[:7].all()
    edges = band_edges()[1:]
    assert edges[bands].max() <= 7840 < edges[~bands].min()
    partials, bands = known_mask(make_control_map(100.0, sample_rate=44_100))
    assert partials[:SINGLES].all()
    assert partials.sum() == SINGLES + (group_positions() < 200).sum()  # 20 kHz is the 200th
    assert bands.all()


def test_unknown_rows_are_extrapolated_along_the_slope():
    falling = -10 - 12 * np.log2(np.concatenate([np.arange(1.0, SINGLES + 1), group_positions()]))
    grid = to_control_grid(make_control_map(440.0))
    grid.partials[0] = falling[:, None]
    rows, bands = np.arange(SINGLES + GROUPS) < 17, np.ones(BANDS, dtype=np.bool_)
    cut = dataclasses.replace(grid, partials=grid.partials.copy())
    cut.partials[0, ~rows] = SILENCE_DB
    filled = fill_unknown(cut, rows[None], bands[None])
    np.testing.assert_allclose(filled.partials[0, :, 50], falling, atol=0.3)  # dB
    np.testing.assert_array_equal(filled.partials[0, rows], grid.partials[0, rows])
    np.testing.assert_array_equal(filled.noise, grid.noise)


def test_batches():
    one, other = (
        to_control_grid(make_control_map(levels=(-20.0,))),
        to_control_grid(make_control_map(levels=(-40.0,))),
    )
    both = concatenate_grids([one, other])
    assert len(both) == 2
    np.testing.assert_array_equal(both[1:].partials, other.partials)
    low, high = to_control_maps(both, [40, 64.5])
    assert (hz_to_midi(low.frequency), hz_to_midi(high.frequency)) == pytest.approx((40, 64.5))
    with pytest.raises(ControlMapError, match="1 pitches for 2 notes"):
        to_control_maps(both, [60])


def test_the_grid():
    assert grid_times()[[0, -1]].tolist() == [0, 4]
    assert 3.0 in grid_times()  # a frame is at the key-up
    assert len(frame_times(4, 3, GRID_NOISE_FRAMES)) == GRID_NOISE_FRAMES
    assert len(grid_times()) == GRID_FRAMES
    assert NOISE_FRAMES > GRID_NOISE_FRAMES
