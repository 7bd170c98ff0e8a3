"""Outlines as sound: as `render` plays the same map, and differentiable."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.latents import tensors
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
    """A plucked string for each pitch; stiff, with offsets and a mode, to have all there is."""
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


def play(waveform, outlines, seed=0):
    told = tensors(outlines)._asdict()
    del told["cents"]
    lots = torch.Generator().manual_seed(seed)
    return waveform(grid_batch(**told, pitch=torch.tensor(PITCHES)), lots)


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
    outlines = strings(noise=SILENCE_DB)
    played = play(waveform, outlines).numpy()
    assert played.shape == (3, 64_000)
    maps = to_control_maps(outlines, PITCHES)
    rendered = np.stack([render(each, sample_rate=RATE).samples for each in maps])
    mine, right = bands(played[:, HELD]), bands(rendered[:, HELD])
    heard = right > 1e-4 * right.max(axis=1, keepdims=True)
    apart = 10 * np.log10(mine[heard] / right[heard])
    assert heard.sum() > 15
    assert np.abs(apart).max() < 1.0, "dB"
    released = [np.square(each[:, 49_000:52_000]).mean(axis=1) for each in (played, rendered)]
    assert np.abs(10 * np.log10(released[0] / released[1])).max() < 1.0, "dB"


def test_noise_is_as_loud_as_rendered_in_every_band(waveform):
    outlines = strings(noise=-60.0, tones=False)
    seeds = range(6)  # a band of 30 Hz over 2.5 s is only known within a dB or so
    played = np.mean([bands(play(waveform, outlines, s).numpy()[:, HELD]) for s in seeds], axis=0)
    right = np.mean(
        [
            bands(render(each, sample_rate=RATE, seed=seed).samples[HELD])
            for each in to_control_maps(outlines, PITCHES)
            for seed in seeds
        ],
        axis=0,
    )
    assert np.abs(10 * np.log10(played.mean(axis=0) / right)).max() < 1.0, "dB"


def test_the_pitch_is_exact(waveform):
    played = play(waveform, strings(noise=SILENCE_DB)).double().numpy()[:, HELD]
    window = np.hanning(played.shape[1])
    times = np.arange(played.shape[1]) / RATE
    for sound, pitch in zip(played, PITCHES, strict=True):
        first = midi_to_hz(pitch) * 2 ** (-10 / 1200)  # its offset
        half = len(sound) // 2
        turned = sound * np.exp(-2j * np.pi * first * times)
        early, late = (turned[p] @ window[::2] for p in (slice(0, half), slice(half, None)))
        drift = np.angle(late / early) / (2 * np.pi) / (half / RATE)  # Hz
        assert abs(1200 * np.log2(1 + drift / first)) < 0.05, "cents"


def test_what_is_silent_is_silent(waveform):
    assert play(waveform, strings(noise=SILENCE_DB, tones=False)).abs().max() < 1e-6


def test_the_same_lots_give_the_same_sound_and_others_another(waveform):
    outlines = strings()
    rows = {name: getattr(outlines, name) for name in ("partials", "slots")}
    up = {name: np.where(row > SILENCE_DB, row + 6.0206, row) for name, row in rows.items()}
    louder = replace(outlines, **up)
    one, same, other = (play(waveform, outlines, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 0.01
    quiet, twice = (play(waveform, replace(each, noise=np.full_like(each.noise, SILENCE_DB)), 1)
                    for each in (outlines, louder))  # fmt: skip
    torch.testing.assert_close(twice, 2 * quiet, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_small_changes(waveform):
    told = tensors(strings())._asdict()
    del told["cents"]
    told["partials"] = told["partials"].clamp_min(SILENCE_DB + 1)  # silence is a step
    direction = torch.randn(64_000, generator=torch.Generator().manual_seed(3))

    def heard(**changed):
        lots = torch.Generator().manual_seed(5)
        return waveform(grid_batch(**{**told, **changed}, pitch=torch.tensor(PITCHES)), lots)

    for name, rows in (("partials", (1, 4)), ("partials", (0, 52)), ("noise", (2, 20))):
        level = told[name].clone().requires_grad_()
        (heard(**{name: level}) @ direction)[rows[0]].backward()
        moved = told[name].clone()
        moved[rows] += 0.1
        lower = told[name].clone()
        lower[rows] -= 0.1
        with torch.no_grad():
            apart = heard(**{name: moved}) - heard(**{name: lower})
        change = float((apart.double() @ direction.double())[rows[0]]) / 0.2
        assert float(level.grad[rows].sum()) == pytest.approx(change, rel=0.02, abs=1e-4)
