"""Outlines: what a map holds comes back from them, on a grid that all notes share."""

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
from support.toy_control_maps import plain

UP = slice(SINGLES, SINGLES + GROUPS)


def swelling(**changes):
    """A map in which every array tells something, and each row falls at a pace of its own."""
    controls = plain(110.0, sample_rate=44_100, **changes)
    fall = np.linspace(0, 12, ROWS)[:, None]  # dB a second
    rows = -20 - np.linspace(0, 40, ROWS)[:, None] - fall * controls.times
    bands = -60 - np.arange(BANDS)[:, None] - 3 * controls.noise_times
    return dataclasses.replace(
        controls,
        partials=rows.astype(np.float16),
        noise=bands.astype(np.float16),
        cents=(5 * np.sin(2 * controls.times)).astype(np.float16),
        offsets=np.linspace(-8, 8, SINGLES).astype(np.float16),
        fine=np.linspace(-6, 6, PARTIALS - SINGLES).astype(np.float16),
        modes=np.array(SLOT_CENTRES, dtype=np.float32),
        inharmonicity=2e-4,
    )


@pytest.mark.parametrize("frames", FRAME_COUNTS)
def test_a_map_comes_back(frames):
    controls = swelling(frames=frames)
    told = to_control_grid(controls)
    for name, shape in GRID_SHAPES.items():
        assert getattr(told, name).shape == (1, *shape), name
    (back,) = to_control_maps(told, [hz_to_midi(110.0)])
    assert (back.divisor, back.seconds, back.key_up) == (1, 4.0, 3.0)
    at = back.times
    expected = np.array([np.interp(at, controls.times, row) for row in controls.partials])
    inside = slice(1, -1)  # the outermost frames stand for half a cell
    np.testing.assert_allclose(back.partials[:, inside], expected[:, inside], atol=0.3)  # dB
    np.testing.assert_allclose(back.noise[:, inside], controls.noise[:, inside], atol=0.3)
    wobble = np.interp(at, controls.times, controls.cents)
    np.testing.assert_allclose(back.cents, wobble, atol=0.1)
    np.testing.assert_allclose(back.frequencies, controls.frequencies, rtol=1e-5)
    np.testing.assert_array_equal(back.fine, controls.fine)


def test_what_is_not_there_stays_away():
    told = to_control_grid(plain(levels=(-20.0,)))
    assert told.slots.max() == SILENCE_DB
    np.testing.assert_allclose(told.ratios[0], SLOT_CENTRES)
    (back,) = to_control_maps(told, [57.0])
    assert back.modes.tolist() == [0] * MODES
    assert back.inharmonicity == 0
    np.testing.assert_allclose(back.partials[0], -20, atol=0.01)
    assert back.partials[1:].max() == SILENCE_DB
    assert back.noise.max() == SILENCE_DB


def test_an_organs_halves_stand_in_slots():
    levels = np.full(20, SILENCE_DB)
    ratios = {0.5: -30.0, 1.0: -10.0, 1.5: -35.0, 2.0: -20.0, 2.5: -40.0, 4.5: -45.0, 3.5: -50.0}
    for ratio, level in ratios.items():
        levels[round(2 * ratio) - 1] = level
    organ = plain(220.0, levels, divisor=2, fine=np.ones(PARTIALS - SINGLES, np.float16))
    organ.partials[UP] = -60
    told = to_control_grid(organ)
    np.testing.assert_allclose(told.partials[0, :2, 40], [-10, -20], atol=0.01)
    assert told.partials[0, 2:].max() == SILENCE_DB  # the envelope above ran over halves: left out
    assert told.fine.max() == 0
    strongest = {0.5: 1, 1.5: 2, 2.5: 3, 4.5: 4}  # 3.5 is weaker than 4.5, in the same slot
    for ratio, slot in strongest.items():
        assert SLOT_EDGES[slot] < ratio <= SLOT_EDGES[slot + 1]
        assert told.ratios[0, slot] == pytest.approx(ratio)
        np.testing.assert_allclose(told.slots[0, slot, 40], ratios[ratio], atol=0.01)
    silent = [slot for slot in range(SLOTS) if slot not in strongest.values()]
    assert told.slots[0, silent].max() == SILENCE_DB


def test_frames_are_averaged_by_power():
    flicker = plain(frames=FRAME_COUNTS[-1], levels=(0.0,))
    flicker.partials[0, 1::2] = -20
    told = to_control_grid(flicker).partials[0, 0]
    held = (grid_times() > 0.5) & (grid_times() < 2.5)  # dozens of frames in each cell
    np.testing.assert_allclose(told[held], 10 * np.log10((1 + 0.01) / 2), atol=0.25)


@pytest.mark.parametrize("held", [1.5, 3.0, 7.0])
def test_attack_and_release_are_kept_whatever_the_length(held):
    note = plain(seconds=held + 1, key_up=held)
    times = note.times
    note.partials[0] = np.where(times < held, -20 + 10 * np.minimum(times, 0.5), -45)
    note.partials[0, times >= held] -= 20 * (times[times >= held] - held)
    told, at = to_control_grid(note).partials[0, 0], grid_times()
    attack = at < min(0.5, held / 2) - 0.05
    np.testing.assert_allclose(told[attack], -20 + 10 * at[attack], atol=0.2)
    middle = (at > 1) & (at < 2.8)
    np.testing.assert_allclose(told[middle], -15, atol=0.01)
    release = (at > 3.1) & (at < 3.9)
    np.testing.assert_allclose(told[release], -45 - 20 * (at[release] - 3), atol=0.2)


def test_behind_its_end_a_note_is_silent():
    short = plain(seconds=3.2, key_up=3.0)
    told, at = to_control_grid(short), grid_times()
    assert told.partials[0, :, at > 3.3].max() == SILENCE_DB
    np.testing.assert_allclose(told.partials[0, 0, at < 3.1], -20, atol=0.01)


def test_what_a_sample_rate_lets_one_know():
    partials, bands = known_mask(plain(1000.0, sample_rate=16_000))
    assert partials.sum() == 7  # 1 … 7 kHz
    assert partials[:7].all()
    edges = band_edges()[1:]
    assert edges[bands].max() <= 7840 < edges[~bands].min()
    partials, bands = known_mask(plain(100.0, sample_rate=44_100))
    assert partials[:SINGLES].all()
    assert partials.sum() == SINGLES + (group_positions() < 200).sum()  # 20 kHz is the 200th
    assert bands.all()


def test_what_is_not_known_is_drawn_on_along_the_slope():
    falling = -10 - 12 * np.log2(np.concatenate([np.arange(1.0, SINGLES + 1), group_positions()]))
    told = to_control_grid(plain(440.0))
    told.partials[0] = falling[:, None]
    rows, bands = np.arange(SINGLES + GROUPS) < 17, np.ones(BANDS, dtype=np.bool_)
    cut = dataclasses.replace(told, partials=told.partials.copy())
    cut.partials[0, ~rows] = SILENCE_DB
    drawn = fill_unknown(cut, rows[None], bands[None])
    np.testing.assert_allclose(drawn.partials[0, :, 50], falling, atol=0.3)  # dB
    np.testing.assert_array_equal(drawn.partials[0, rows], told.partials[0, rows])
    np.testing.assert_array_equal(drawn.noise, told.noise)


def test_batches():
    one, other = to_control_grid(plain(levels=(-20.0,))), to_control_grid(plain(levels=(-40.0,)))
    both = concatenate_grids([one, other])
    assert len(both) == 2
    np.testing.assert_array_equal(both[1:].partials, other.partials)
    low, high = to_control_maps(both, [40, 64.5])
    assert (hz_to_midi(low.frequency), hz_to_midi(high.frequency)) == pytest.approx((40, 64.5))
    with pytest.raises(ControlMapError, match="1 pitches for 2 notes"):
        to_control_maps(both, [60])


def test_the_grid():
    assert grid_times()[[0, -1]].tolist() == [0, 4]
    assert 3.0 in grid_times()  # a frame stands where the key is let go
    assert len(frame_times(4, 3, GRID_NOISE_FRAMES)) == GRID_NOISE_FRAMES
    assert len(grid_times()) == GRID_FRAMES
    assert NOISE_FRAMES > GRID_NOISE_FRAMES
