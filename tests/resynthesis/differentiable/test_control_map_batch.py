"""Batches of control maps: one grid, and chunks of notes with similarly many partials."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.resynthesis.control_map import PARTIALS, SILENCE_DB, frame_times
from mechanical_ears.resynthesis.differentiable.control_map_batch import (
    map_batch,
    split_by_partials,
)
from support.toy_control_maps import make_control_map


def test_maps_are_interpolated_to_one_grid():
    short = make_control_map(seconds=1.0, key_up=0.8, frames=576)
    short.partials[0] = -20 - 10 * short.times
    batch = map_batch([short, make_control_map()], frames=144)
    times = frame_times(4.0, 3.0, 144)
    assert batch.partials.shape == (2, 72, 144)
    inside = times < 1.0
    np.testing.assert_allclose(batch.partials[0, 0, inside], -20 - 10 * times[inside], atol=0.02)
    assert (batch.partials[0, :, times > 1.1] == SILENCE_DB).all()
    np.testing.assert_array_equal(batch.partials[1, 1], np.full(144, -30))
    np.testing.assert_allclose(batch.frequencies[1, :3], [220, 440, 660])


@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
def test_chunks(size):
    pitches = [2000.0, 100.0, 500.0, 7000.0, 50.0]
    batch = map_batch([make_control_map(each) for each in pitches], frames=144)
    chunks, restore = split_by_partials(batch, 16.0, 8000.0, size)
    counts = [int(7999 // pitch) for pitch in pitches]
    assert len(chunks) == -(-len(pitches) // size)
    for chunk in chunks:
        assert len(chunk.indices) <= size
        assert chunk.partials == max(min(counts[i], PARTIALS) for i in chunk.indices.tolist())
        np.testing.assert_array_equal(
            chunk.audible[:, :PARTIALS].sum(dim=1), [counts[i] for i in chunk.indices.tolist()]
        )
    together = torch.cat([chunk.maps.frequencies for chunk in chunks])
    assert torch.equal(together[restore], batch.frequencies)
