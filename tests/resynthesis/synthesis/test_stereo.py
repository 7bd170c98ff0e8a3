"""Stereo: the width asked for is rendered, its mono sum is the mono note, and nothing clicks."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from mechanical_ears.listening.f0 import refine
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    NOISE_FRAMES,
    ControlMapError,
    band_edges,
)
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.resynthesis.synthesis.stereo import StereoWidth, partial_sides, to_channels
from support.toy_control_maps import make_control_map

RATE = 48_000
WIDTHS = 10 * np.log10(np.diff(band_edges()))


def noisy_map(levels=(), **changes):
    """Constant partials over noise of constant density, 4 s long."""
    noise = np.repeat((-70 + WIDTHS)[:, None], NOISE_FRAMES, axis=1).astype(np.float16)
    return make_control_map(levels=levels, noise=noise, **changes)


def band_powers(samples, edges):
    """Powers of left and right, real part of the cross power, and power of the mean, by band."""
    left, right = np.fft.rfft(samples[RATE // 2 : 3 * RATE], axis=0).T
    frequencies = np.fft.rfftfreq(3 * RATE - RATE // 2, 1 / RATE)
    bins = np.searchsorted(frequencies, edges)
    return [
        np.array([power[low:high].sum() for low, high in itertools.pairwise(bins)])
        for power in (
            np.abs(left) ** 2,
            np.abs(right) ** 2,
            (left * right.conj()).real,
            np.abs(left + right) ** 2 / 4,
            np.abs(left - right) ** 2 / 4,
        )
    ]


def third_octaves():
    return 1000 * 2 ** (np.arange(-15.5, 13) / 3)


def test_correlation_of_noise_in_each_band():
    target = np.linspace(0.95, 0.1, BANDS)
    width = StereoWidth.from_correlation(target)
    sound = render(noisy_map(), sample_rate=RATE, channels=2, width=width)
    assert sound.samples.shape == (4 * RATE, 2)
    left, right, cross, mid, side = band_powers(sound.samples, band_edges())
    np.testing.assert_allclose((cross / np.sqrt(left * right))[2:], target[2:], atol=0.1)
    np.testing.assert_allclose((10 * np.log10(side / mid))[2:], width.side[2:], atol=1.0)


def test_level_and_independent_parts_of_noise():
    """Side and level difference come back together, with the correlation that follows."""
    width = StereoWidth(np.full(BANDS, -6.0), np.full(BANDS, 4.0))
    sound = render(noisy_map(), sample_rate=RATE, channels=2, width=width)
    left, right, cross, mid, rest = band_powers(sound.samples, band_edges())
    side, ratio = 10**-0.6, 10**0.4
    level = (1 + side) / 2 * (ratio - 1) / (ratio + 1)
    expected = (1 - side) / np.sqrt((1 + side) ** 2 - 4 * level**2)
    assert np.median(cross / np.sqrt(left * right)) == pytest.approx(expected, abs=0.03)
    assert np.median(10 * np.log10(rest / mid)) == pytest.approx(-6, abs=0.3)
    assert np.median(np.abs(10 * np.log10(left / right))) == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("correlation", [0.9, 0.5, 0.0])
def test_correlation_of_partials(correlation):
    width = StereoWidth.from_correlation(correlation)
    note = make_control_map(220.0, levels=np.full(30, -30.0))
    samples = render(note, sample_rate=RATE, channels=2, width=width).samples
    left, right, cross, mid, side = band_powers(samples, 220 * (np.arange(31) + 0.5))
    np.testing.assert_allclose(cross / np.sqrt(left * right), correlation, atol=0.02)
    np.testing.assert_allclose(10 * np.log10(side / mid), width.side[0], atol=0.2)


def test_partials_apart_in_level_only():
    apart = 20 * np.log10((1 + 10**-0.5) / (1 - 10**-0.5))  # dB
    width = StereoWidth(np.full(BANDS, -10.0), np.full(BANDS, apart), seed=3)
    note = make_control_map(220.0, levels=np.full(10, -30.0))
    samples = render(note, sample_rate=RATE, channels=2, width=width).samples
    left, right, cross, _, _ = band_powers(samples, 220 * (np.arange(11) + 0.5))
    np.testing.assert_allclose(cross / np.sqrt(left * right), 1, atol=1e-3)
    np.testing.assert_allclose(np.abs(10 * np.log10(left / right)), apart, atol=0.05)  # dB
    assert set(np.sign(left - right)) == {-1, 1}


def moving(note):
    cents = 30 * np.sin(2 * np.pi * 5 * note.times)
    return dataclasses.replace(note, cents=cents.astype(np.float16))


@pytest.mark.parametrize("frames", FRAME_COUNTS)
@pytest.mark.parametrize("change", [lambda note: note, moving], ids=["steady", "vibrato"])
def test_mono_sum_is_the_mono_rendering(frames, change):
    note = change(noisy_map(np.linspace(-30, -60, 40), frames=frames))
    width = StereoWidth.from_correlation(0.2, spread=4.0, voices=0.7, seed=5)
    mono = render(note, sample_rate=RATE, seed=2)
    stereo = render(note, sample_rate=RATE, seed=2, channels=2, width=width)
    np.testing.assert_allclose(stereo.mono().samples, mono.samples, atol=1e-5)
    both = np.stack([mono.samples, mono.samples], axis=1)
    _, _, _, mid, _ = band_powers(stereo.samples, third_octaves())
    _, _, _, expected, _ = band_powers(both, third_octaves())
    assert np.abs(10 * np.log10(mid / expected)).max() < 1  # dB


def test_one_channel_is_unchanged():
    note = noisy_map((-20.0, -30.0))
    plain = render(note, sample_rate=RATE, seed=4).samples
    width = StereoWidth.from_correlation(0.0)
    one = render(note, sample_rate=RATE, seed=4, channels=1, width=width).samples
    np.testing.assert_array_equal(plain, one)


@pytest.mark.parametrize("voices", [0.0, 0.7])
def test_pitch_of_both_channels(voices):
    width = StereoWidth.from_correlation(0.6, voices=voices)
    sound = render(make_control_map(220.0), sample_rate=RATE, channels=2, width=width)
    for channel in sound.samples.T:
        found = refine(np.ascontiguousarray(channel), RATE, 57).frequency
        assert abs(cents_between(found, midi_to_hz(57))) < (
            2 if voices else 0.02
        )  # part of a beat shifts the tracker


def test_doubled_voices_beat_in_turn():
    """What is loud on the left is soft on the right, at the voices' rate, and the sum is steady."""
    width = StereoWidth.from_correlation(0.8, voices=1.0)
    note = make_control_map(220.0, levels=(-20.0,))
    samples = render(note, sample_rate=RATE, channels=2, width=width).samples[: 3 * RATE]
    blocks = samples[RATE // 2 :].reshape(-1, RATE // 20, 2)
    left, right = 10 * np.log10((blocks**2).mean(axis=1)).T
    assert np.ptp(left) > 4  # dB
    assert np.corrcoef(left, right)[0, 1] < -0.9
    mono = 10 * np.log10((blocks.mean(axis=2) ** 2).mean(axis=1))
    assert np.ptp(mono) < 0.2  # dB
    rate = partial_sides(width, np.array([0]), np.array([220.0]), np.arange(100) / 100)
    assert 0.85 <= np.abs(np.unwrap(np.angle(rate[:, 0]))[[0, -1]] @ [-1, 1]) / 2 / np.pi <= 1.15


def test_both_channels_start_and_end_without_a_step():
    width = StereoWidth.from_correlation(0.0, spread=3.0)
    note = noisy_map((-6.0, -12.0, -12.0))
    for seconds in (0.5, 4.0, 7.0):
        sound = render(note, sample_rate=RATE, seconds=seconds, channels=2, width=width)
        peak = np.abs(sound.samples).max(axis=0)
        assert (np.abs(sound.samples[[0, -1]]) < 0.01 * peak).all()


def test_the_seed_decides_the_sides():
    note = make_control_map(levels=np.full(20, -30.0))

    def stereo(seed):
        width = StereoWidth.from_correlation(0.5, spread=2.0, seed=seed)
        return render(note, channels=2, width=width).samples

    np.testing.assert_array_equal(stereo(1), stereo(1))
    assert np.abs(stereo(1) - stereo(2)).max() > 0.01


def test_default_width_and_bad_channels():
    note = noisy_map()
    left, right, cross, _, _ = band_powers(
        render(note, sample_rate=RATE, channels=2).samples, band_edges()
    )
    assert np.median(cross / np.sqrt(left * right)) == pytest.approx(0.8, abs=0.05)
    with pytest.raises(ControlMapError, match="3 channels"):
        render(note, channels=3)


def test_gains_of_measured_width():
    """Level and phase parts of a pair of sines with a known difference."""
    for side in (0.3 + 0.1j, 0.1 - 0.5j, 0.7j, 0.4 + 0j):
        left, right = abs(1 + side), abs(1 - side)
        width = StereoWidth(
            np.full(BANDS, 20 * np.log10(abs(side))), np.full(BANDS, 20 * np.log10(left / right))
        )
        gains = np.ravel(width.gains(np.array([1000.0])))
        np.testing.assert_allclose(gains, np.abs([side.real, side.imag]), atol=1e-5)


def test_channels_of_mid_and_side():
    mid_side = np.array([[1, 2, 3], [0.5, 0, -1]], dtype=np.float32)
    np.testing.assert_array_equal(to_channels(mid_side), [[1.5, 0.5], [2, 2], [2, 4]])
