"""Control grids as sound: as `render` renders the same map, and differentiable."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.latents import grid_tensors
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.resynthesis.control_grid import ControlGrid, to_control_maps
from mechanical_ears.resynthesis.control_map import SILENCE_DB, band_edges
from mechanical_ears.resynthesis.differentiable.control_map_batch import grid_batch
from mechanical_ears.resynthesis.differentiable.waveform import Waveform
from mechanical_ears.resynthesis.synthesis.render import render
from support.toy_model import plucked

RATE = 16_000
PITCHES = (33.0, 60.0, 84.5)
HELD = slice(8_000, 48_000)


@pytest.fixture(scope="module")
def waveform():
    return Waveform()


def strings(noise=None, tones=True) -> ControlGrid:
    """A plucked string for each pitch; stiff, with offsets and a mode: everything a grid has."""
    fields = {name: np.stack([value] * len(PITCHES)) for name, value in plucked().items()}
    fields["stiffness"] = np.full(len(PITCHES), -4.0)
    fields["offsets"] = np.tile(np.linspace(-10, 10, 48), (len(PITCHES), 1))
    fields["slots"][:, 3] = -50.0  # at 2.5 times the pitch
    fields["fine"] = np.tile(np.linspace(3, -3, 336), (len(PITCHES), 1))
    if not tones:
        fields["partials"][:] = fields["slots"][:] = SILENCE_DB
    if noise is not None:
        fields["noise"] = np.full_like(fields["noise"], noise)
    return ControlGrid(**{name: value.astype(np.float32) for name, value in fields.items()})


def sound_of(waveform, grid, seed=0):
    fields = grid_tensors(grid)._asdict()
    del fields["cents"]
    generator = torch.Generator().manual_seed(seed)
    return waveform(grid_batch(**fields, pitch=torch.tensor(PITCHES)), generator)


def bands(sound):
    """Mean square in the noise bands below 7 kHz, (notes, bands)."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.shape[-1]))) ** 2
    at = np.fft.rfftfreq(sound.shape[-1], 1 / RATE)
    edges = band_edges()[band_edges() < 7_000]
    return np.stack(
        [spectrum[..., (at >= low) & (at < high)].sum(axis=-1) for low, high in pairwise(edges)],
        axis=-1,
    )


def test_tones_are_as_loud_as_rendered_in_every_band(waveform):
    grid = strings(noise=SILENCE_DB)
    sounds = sound_of(waveform, grid).numpy()
    assert sounds.shape == (3, 64_000)
    maps = to_control_maps(grid, PITCHES)
    rendered = np.stack([render(each, sample_rate=RATE).samples for each in maps])
    found, expected = bands(sounds[:, HELD]), bands(rendered[:, HELD])
    audible = expected > 1e-4 * expected.max(axis=1, keepdims=True)
    difference = 10 * np.log10(found[audible] / expected[audible])
    assert audible.sum() > 15
    assert np.abs(difference).max() < 1.0, "dB"
    released = [np.square(each[:, 49_000:52_000]).mean(axis=1) for each in (sounds, rendered)]
    assert np.abs(10 * np.log10(released[0] / released[1])).max() < 1.0, "dB"


def test_noise_is_as_loud_as_rendered_in_every_band(waveform):
    grid = strings(noise=-60.0, tones=False)
    seeds = range(6)  # a band of 30 Hz over 2.5 s is only known within a dB or so
    sounds = np.mean([bands(sound_of(waveform, grid, s).numpy()[:, HELD]) for s in seeds], axis=0)
    expected = np.mean(
        [
            bands(render(each, sample_rate=RATE, seed=seed).samples[HELD])
            for each in to_control_maps(grid, PITCHES)
            for seed in seeds
        ],
        axis=0,
    )
    assert np.abs(10 * np.log10(sounds.mean(axis=0) / expected)).max() < 1.0, "dB"


def test_the_pitch_is_exact(waveform):
    sounds = sound_of(waveform, strings(noise=SILENCE_DB)).double().numpy()[:, HELD]
    window = np.hanning(sounds.shape[1])
    times = np.arange(sounds.shape[1]) / RATE
    for sound, pitch in zip(sounds, PITCHES, strict=True):
        first = midi_to_hz(pitch) * 2 ** (-10 / 1200)  # its offset
        half = len(sound) // 2
        turned = sound * np.exp(-2j * np.pi * first * times)
        early, late = (turned[p] @ window[::2] for p in (slice(0, half), slice(half, None)))
        drift = np.angle(late / early) / (2 * np.pi) / (half / RATE)  # Hz
        assert abs(1200 * np.log2(1 + drift / first)) < 0.05, "cents"


def test_silence(waveform):
    assert sound_of(waveform, strings(noise=SILENCE_DB, tones=False)).abs().max() < 1e-6


def test_the_same_seed_gives_the_same_sound_and_another_another(waveform):
    grid = strings()
    rows = {name: getattr(grid, name) for name in ("partials", "slots")}
    raised = {name: np.where(row > SILENCE_DB, row + 6.0206, row) for name, row in rows.items()}
    louder = replace(grid, **raised)
    one, same, other = (sound_of(waveform, grid, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 0.01
    quiet, twice = (sound_of(waveform, replace(each, noise=np.full_like(each.noise, SILENCE_DB)), 1)
                    for each in (grid, louder))  # fmt: skip
    torch.testing.assert_close(twice, 2 * quiet, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_small_changes(waveform):
    fields = grid_tensors(strings())._asdict()
    del fields["cents"]
    fields["partials"] = fields["partials"].clamp_min(SILENCE_DB + 1)  # silence is a step
    direction = torch.randn(64_000, generator=torch.Generator().manual_seed(3))

    def render_changed(**changed):
        generator = torch.Generator().manual_seed(5)
        return waveform(grid_batch(**{**fields, **changed}, pitch=torch.tensor(PITCHES)), generator)

    for name, rows in (("partials", (1, 4)), ("partials", (0, 52)), ("noise", (2, 20))):
        level = fields[name].clone().requires_grad_()
        (render_changed(**{name: level}) @ direction)[rows[0]].backward()
        higher = fields[name].clone()
        higher[rows] += 0.1
        lower = fields[name].clone()
        lower[rows] -= 0.1
        with torch.no_grad():
            difference = render_changed(**{name: higher}) - render_changed(**{name: lower})
        change = float((difference.double() @ direction.double())[rows[0]]) / 0.2
        assert float(level.grad[rows].sum()) == pytest.approx(change, rel=0.02, abs=1e-4)
