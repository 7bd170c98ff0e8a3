"""Rendered maps: exact pitch, right levels, any length and rate, no clicks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mechanical_ears.listening.f0 import refine
from mechanical_ears.pitch import cents_between, hz_to_midi, midi_to_hz
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    GROUPS,
    NOISE_FRAMES,
    SILENCE_DB,
    SINGLES,
    ControlMapError,
    band_edges,
)
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound
from support.toy_control_maps import make_control_map


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("pitch", [24, 45.5, 69, 96])
def test_exact_pitch(pitch, rate):
    sound = render(make_control_map(), pitch=pitch, sample_rate=rate)
    found = refine(sound.samples, rate, pitch).frequency
    assert abs(cents_between(found, midi_to_hz(pitch))) < 0.01


@pytest.mark.parametrize("frames", FRAME_COUNTS)
def test_levels_of_partials(frames):
    sound = render(make_control_map(250.0, frames=frames)).samples[16_000:32_000]
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(sound * np.hanning(16_000))) / 4000 + 1e-9)
    for number, level in ((1, -20), (2, -30), (3, -40)):
        assert abs(spectrum[250 * number] - level) < 0.05  # dB
    others = np.delete(spectrum, [250 * n + d for n in (1, 2, 3) for d in range(-3, 4)])
    assert others.max() < -110  # dB


def test_many_partials_follow_the_envelope():
    control_map = make_control_map(50.0, levels=())
    partials = control_map.partials.copy()
    partials[SINGLES : SINGLES + GROUPS] = -40
    control_map = dataclasses.replace(control_map, partials=partials)
    sound = render(control_map).samples[16_000:32_000]
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(sound * np.hanning(16_000))) / 4000 + 1e-9)
    numbers = np.arange(SINGLES + 1, 150)
    assert np.abs(spectrum[50 * numbers] + 40).max() < 0.1  # dB
    assert spectrum[50 * np.arange(1, SINGLES)].max() < -110  # dB


def test_levels_of_noise():
    widths = 10 * np.log10(np.diff(band_edges()) / (band_edges()[30] - band_edges()[10]))
    noise = np.full((BANDS, NOISE_FRAMES), SILENCE_DB, dtype=np.float16)
    noise[10:30] = -30 + widths[10:30, None]
    control_map = make_control_map(levels=(), noise=noise)
    for rate in (16_000, 44_100):
        sound = render(control_map, sample_rate=rate).samples[rate : 3 * rate]
        assert abs(10 * np.log10((sound**2).mean()) + 30) < 0.7  # dB
        power = np.abs(np.fft.rfft(sound)) ** 2
        frequencies = np.fft.rfftfreq(len(sound), 1 / rate)
        inside = (frequencies > band_edges()[9]) & (frequencies < band_edges()[31])
        assert power[inside].sum() > 0.97 * power.sum()


def test_vibrato_is_rendered():
    control_map = make_control_map(440.0)
    cents = 50 * np.sin(2 * np.pi * 4 * control_map.times)
    control_map = dataclasses.replace(control_map, cents=cents.astype(np.float16))
    back = analyse(render(control_map), 69)
    inside = (control_map.times > 0.3) & (control_map.times < 2.8)
    found = np.interp(control_map.times, back.times, back.cents.astype(float))
    found += 1200 * np.log2(back.frequency / 440)
    assert np.abs(found - cents)[inside].max() < 8  # cents


def test_nothing_passes_half_the_sample_rate():
    control_map = make_control_map(1000.0, levels=(-20.0,) * 40, sample_rate=96_000)
    assert np.abs(render(control_map, sample_rate=96_000).samples).max() > 1
    sound = render(control_map, sample_rate=16_000).samples[16_000:32_000]
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(sound * np.hanning(16_000))) / 4000 + 1e-9)
    lines = np.zeros(len(spectrum), dtype=bool)
    for number in range(1, 8):
        lines[1000 * number - 3 : 1000 * number + 4] = True
    assert spectrum[~lines].max() < -105  # dB: no aliasing
    up = render(make_control_map(levels=(-20.0,) * 3), pitch=hz_to_midi(7000)).samples
    assert np.abs(up).max() < 0.11  # the second and third are left out


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5, 4.0, 4.1, 7.0, 20.0])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_no_clicks_at_any_length(seconds, rate):
    frames = FRAME_COUNTS[0]
    control_map = make_control_map(441.0, levels=(-10.0,))
    times = control_map.times
    fall = np.where(times > 3, -100 * (times - 3), 0.0)
    moving = -10 + 3 * np.sin(times * 9) + np.maximum(fall, -100)
    partials = control_map.partials.copy()
    partials[0] = moving
    phases = control_map.phases.copy()
    phases[0] = (np.arange(frames) * 7 % 256).astype(np.uint8).view(np.int8)
    control_map = dataclasses.replace(control_map, partials=partials, phases=phases)
    sound = render(control_map, seconds=seconds, sample_rate=rate)
    assert len(sound.samples) == round(seconds * rate)
    spectrum = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples))))
    far = np.fft.rfftfreq(len(sound.samples), 1 / rate) > 4000
    assert 20 * np.log10(spectrum[far].max() / spectrum.max()) < -75  # dB
    assert abs(sound.samples[0]) < 1e-2
    assert abs(sound.samples[-1]) < 1e-3


def level(samples: np.ndarray, rate: int, start: float) -> float:
    part = samples[round(start * rate) : round((start + 0.1) * rate)]
    return float(20 * np.log10(part.std() + 1e-9))


def test_a_held_note_is_held_longer_and_released():
    control_map = make_control_map(levels=(-20.0, -26.0))
    times = control_map.times
    partials = control_map.partials.copy()
    partials[:2] -= np.maximum(0, 60 * (times - 3)).astype(np.float16)
    control_map = dataclasses.replace(control_map, partials=partials)
    sound = render(control_map, seconds=9).samples
    levels = [level(sound, 16_000, start) for start in (1, 3, 5, 7, 7.8)]
    assert np.ptp(levels) < 0.2  # dB
    assert level(sound, 16_000, 8.45) < levels[0] - 25
    short = render(control_map, seconds=1.5).samples
    assert abs(level(short, 16_000, 0.3) - levels[0]) < 0.2
    assert level(short, 16_000, 0.95) < levels[0] - 25


def test_a_decaying_note_goes_on_decaying():
    control_map = make_control_map(levels=(-10.0,))
    partials = control_map.partials.copy()
    partials[0] = -10 - 8 * control_map.times
    control_map = dataclasses.replace(control_map, partials=partials)
    sound = render(control_map, seconds=8).samples
    for start in (1.0, 3.5, 5.0, 6.8):
        expected = -13.01 - 8 * (start + 0.05)
        assert abs(level(sound, 16_000, start) - expected) < 0.5  # dB
    short = render(control_map, seconds=2).samples  # released after 1 s, at a level still high
    assert abs(level(short, 16_000, 1.5) - (-13.01 - 8 * 1.55)) < 0.5  # dB


def test_gain_and_seed():
    control_map = make_control_map(noise=np.full((BANDS, NOISE_FRAMES), -60, dtype=np.float16))
    first, again = render(control_map, seed=1).samples, render(control_map, seed=1).samples
    assert np.array_equal(first, again)
    assert not np.array_equal(first, render(control_map, seed=2).samples)
    assert np.allclose(render(control_map, seed=1, velocity_gain=-6).samples, first * 10**-0.3)


def test_partials_and_noise_add_up():
    control_map = make_control_map(noise=np.full((BANDS, NOISE_FRAMES), -60, dtype=np.float16))
    parts = render(control_map, noise=False).samples + render(control_map, partials=False).samples
    assert np.allclose(parts, render(control_map).samples, atol=1e-5)


def test_silence_renders_as_silence():
    assert np.array_equal(
        render(make_control_map(levels=())), Sound(np.zeros(64_000), 16_000)
    ) or not np.any(render(make_control_map(levels=())).samples)


@pytest.mark.parametrize("wrong", [{"sample_rate": 0}, {"seconds": 0.0}, {"pitch": 500.0}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ControlMapError, match="outside"):
        render(make_control_map(), **wrong)
