"""The analytic render: the features of the rendered sound, without the sound."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.frontend import RANGE_DB, extract_features
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_grid import (
    GRID_FRAMES,
    GRID_NOISE_FRAMES,
    GRID_SHAPES,
    concatenate_grids,
    to_control_grid,
    to_control_maps,
)
from mechanical_ears.resynthesis.control_map import BANDS, NOISE_FRAMES, band_edges
from mechanical_ears.resynthesis.differentiable.control_map_batch import grid_batch, map_batch
from mechanical_ears.resynthesis.differentiable.magnitude import MagnitudeRender, render_magnitude
from mechanical_ears.resynthesis.synthesis.render import render
from support.toy_control_maps import make_control_map


def features_of_sound(maps, **options):
    audio = np.zeros((len(maps), 64_000), dtype=np.float32)
    for row, control_map in enumerate(maps):
        samples = render(control_map, phases=False, **options).samples[:64_000]
        audio[row, : len(samples)] = samples
    return extract_features(audio)


def mean_distance(one, other):
    """Mean distance in dB where either is within 60 dB of the maximum."""
    one, other = np.asarray(one), np.asarray(other)
    counted = np.maximum(one, other) > 20 / RANGE_DB
    return RANGE_DB * np.abs(one - other)[counted].mean()


@pytest.mark.parametrize("frequency", [58.0, 440.0, 3000.0])
def test_a_steady_sine(frequency):
    control_map = make_control_map(frequency, levels=(-20.0,))
    real, analytic = features_of_sound([control_map]), render_magnitude(control_map)
    held = slice(8, 18)  # frames in which the sine fills the window
    assert mean_distance(real.pitch_map[:, held], analytic.pitch_map[:, held]) < 1.5
    assert abs(float(analytic.level[0]) - real.level[0]) * RANGE_DB < 0.3  # dB
    assert int(analytic.pitch_map[0, 12].argmax()) == int(real.pitch_map[0, 12].argmax())


def test_flat_noise():
    widths = 10 * np.log10(np.diff(band_edges()))
    noise = np.repeat((-70 + widths)[:, None], NOISE_FRAMES, axis=1).astype(np.float16)
    control_map = make_control_map(levels=(), noise=noise)
    analytic = render_magnitude(control_map).pitch_map[0].numpy()
    renderings = [features_of_sound([control_map], seed=seed) for seed in range(12)]
    mean = np.mean([each.pitch_map[0, 8:18] for each in renderings], axis=0)
    difference = RANGE_DB * (analytic[8:18, 60:280] - mean[:, 60:280])
    assert difference.std() < 2.5  # dB: what twelve noises differ from their mean
    # relative to the loudest cell, which is an outlier in real noise: an offset of some dB
    assert 0 < difference.mean() < 10


def test_it_is_as_near_as_a_second_rendering():
    maps = [analyse(note) for note in Toy(24, instruments=8)]
    real, again = features_of_sound(maps), features_of_sound(maps, seed=7)
    analytic = render_magnitude(maps)
    for name in ("pitch_map", "envelope"):
        floor = mean_distance(getattr(real, name), getattr(again, name))
        assert mean_distance(getattr(real, name), getattr(analytic, name)) < 1.3 * floor + 0.5
    assert RANGE_DB * np.abs(real.level - analytic.level.numpy()).mean() < 1  # dB


def test_gradients_reach_every_part():
    noise = np.full((BANDS, NOISE_FRAMES), -60, dtype=np.float16)
    maps = [make_control_map(220.0, noise=noise), make_control_map(330.0, noise=noise)]
    batch = map_batch(maps)
    levels = {name: getattr(batch, name).requires_grad_() for name in ("partials", "noise")}
    frequencies = batch.frequencies.requires_grad_()
    features = MagnitudeRender()(batch)
    features.pitch_map.square().sum().backward()
    for values in levels.values():
        assert torch.isfinite(values.grad).all()
        assert values.grad.abs().max() > 0
    assert torch.isfinite(frequencies.grad).all()
    assert frequencies.grad[:, :3].abs().max() > 0


def test_a_gradient_is_the_slope():
    batch = map_batch([make_control_map(220.0, levels=(-20.0, -30.0))])
    render_ = MagnitudeRender()
    batch.partials.requires_grad_()
    render_(batch).pitch_map[0, 12, 126 + 36].backward()  # near the second partial
    slope = float(batch.partials.grad[0, 1].sum())
    louder = batch.partials.detach().clone()
    louder[0, 1] += 0.1
    place = (0, 12, 126 + 36)
    with torch.no_grad():
        change = render_(batch._replace(partials=louder)).pitch_map[place]
        change = change - render_(batch).pitch_map[place]
    assert float(change) / 0.1 == pytest.approx(slope, rel=0.02)


def test_maps_of_any_length():
    short = dataclasses.replace(make_control_map(), seconds=1.0, key_up=0.8)
    batch = map_batch([short, make_control_map()], frames=144)
    assert batch.partials.shape == (2, 72, 144)
    features = MagnitudeRender(frames=144)(batch)
    assert float(features.pitch_map[0, -2:].max()) == 0  # silent after its end
    assert float(features.pitch_map[1, 12].max()) > 0.9


def toy_grid(pitches):
    """A control grid of toy notes, as tensors by name, and its maps at these pitches."""
    grid = concatenate_grids(
        [to_control_grid(analyse(note)) for note in Toy(len(pitches), instruments=8)]
    )
    grid.stiffness[::3] = -3.5
    tensors = {name: torch.from_numpy(getattr(grid, name)) for name in GRID_SHAPES}
    del tensors["cents"]
    grid.cents[:] = 0  # vibrato is not shown
    return tensors, to_control_maps(grid, pitches)


def grid_render():
    return MagnitudeRender(frames=GRID_FRAMES, noise_frames=GRID_NOISE_FRAMES)


def test_a_control_grid_on_its_own_frames():
    pitches = np.linspace(24, 103, 24)  # both ends at once: from 340 partials to 2
    tensors, maps = toy_grid(pitches)
    batch = grid_batch(**tensors, pitch=torch.from_numpy(pitches))
    analytic = grid_render()(batch)
    for row, control_map in enumerate(maps):
        expected = control_map.frequencies.astype(np.float32)
        np.testing.assert_allclose(batch.frequencies[row], expected, rtol=1e-4)
    real = features_of_sound(maps, sample_rate=16_000)
    again = features_of_sound(maps, sample_rate=16_000, seed=7)
    for name in ("pitch_map", "envelope"):
        floor = mean_distance(getattr(real, name), getattr(again, name))
        assert mean_distance(getattr(real, name), getattr(analytic, name)) < 1.2 * floor + 0.4
    assert RANGE_DB * np.abs(real.level - analytic.level.numpy()).mean() < 1  # dB


def test_a_note_does_not_depend_on_its_batch():
    pitches = np.linspace(24, 103, 20)
    tensors, _ = toy_grid(pitches)
    batch = grid_batch(**tensors, pitch=torch.from_numpy(pitches))
    module = grid_render()
    together = module(batch)
    for row in (0, 7, 19):
        alone = module(type(batch)(*(part[row : row + 1] for part in batch)))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], other[row], atol=1e-4)


def test_gradients_reach_the_levels_of_a_grid():
    pitches = np.array([30.0, 60.0])
    tensors, _ = toy_grid(pitches)
    tensors["partials"] = torch.full_like(tensors["partials"], -40)
    levels = {name: tensors[name].requires_grad_() for name in ("partials", "noise", "fine")}
    features = grid_render()(grid_batch(**tensors, pitch=torch.from_numpy(pitches)))
    (features.pitch_map.sum() + features.envelope.sum() + features.level.sum()).backward()
    for values in levels.values():
        assert torch.isfinite(values.grad).all()
    assert levels["partials"].grad[0, 48:].abs().max() > 0  # upper partials of the low note
    assert levels["partials"].grad[1, 48:].abs().max() == 0  # the high one has none below 8 kHz
    assert levels["fine"].grad[0].abs().max() > 0
    assert levels["noise"].grad.abs().amax(dim=(1, 2)).min() > 0
