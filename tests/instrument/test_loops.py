"""Loops: found where the sound repeats, cross-faded without a click or a dip."""

import numpy as np
import pytest

from mechanical_ears.instrument.loops import (
    TAIL,
    click,
    crossfaded,
    find_loop,
    unrolled,
)
from mechanical_ears.instrument.zones import Loop

RATE = 48_000


def tone(*frequencies, seconds=4.0, fall=0.0):
    time = np.arange(round(seconds * RATE)) / RATE
    audio = sum(np.sin(2 * np.pi * f * time + n) for n, f in enumerate(frequencies))
    return (0.3 * audio * 10 ** (-fall * time / 20)).astype(np.float32)[:, None]


def levels(audio, block=480):
    whole = audio[: len(audio) // block * block, 0].reshape(-1, block).astype(np.float64)
    return 10 * np.log10(np.mean(whole**2, axis=1))


def test_a_click_is_measured_and_a_whole_period_has_none():
    audio = tone(440)
    period = 1200  # frames: 11 periods
    assert click(audio, Loop(48_000, 48_000 + 80 * period), RATE) < 1
    assert click(audio, Loop(48_000, 48_000 + 80 * period + 50), RATE) > 30
    assert click(audio, Loop(48_000, 48_000 + 80 * period + 2), RATE) > 20


@pytest.mark.parametrize("frequency", [32.7, 110.3, 441.7, 1763.0, 4186.0])
def test_a_steady_tone_is_looped_without_a_click(frequency):
    looped = find_loop(tone(frequency, 2 * frequency), RATE, frequency, 1.0, 3.9)
    assert looped.fit > 0.98
    assert click(looped.audio, looped.loop, RATE) < 1
    held = unrolled(looped.audio, looped.loop, 10 * RATE)[RATE:]
    assert np.ptp(levels(held, 14_400)) < 0.5
    spectrum = np.abs(np.fft.rfft(held[:, 0] * np.hanning(len(held))))
    peak = spectrum[: round(1.5 * frequency * len(held) / RATE)].argmax() * RATE / len(held)
    assert abs(1200 * np.log2(peak / frequency)) < 5


def test_beats_are_looped_over_whole_beats():
    looped = find_loop(tone(440, 442), RATE, 440, 0.5, 3.9)
    beats = (looped.loop.end - looped.loop.start) / RATE / 0.5
    assert abs(beats - round(beats)) < 0.04
    assert looped.fit > 0.99


def test_noise_keeps_its_power_through_the_fade():
    noise = np.random.default_rng(1).standard_normal((4 * RATE, 1)).astype(np.float32) * 0.1
    looped = find_loop(noise, RATE, 220, 1.0, 3.9)
    assert abs(looped.fit) < 0.3
    held = unrolled(looped.audio, looped.loop, 12 * RATE)
    assert np.ptp(levels(held, 2400)) < 1.2
    assert click(looped.audio, looped.loop, RATE) < 3


def test_a_slow_fall_does_not_pump():
    looped = find_loop(tone(220, fall=2.0), RATE, 220, 1.0, 3.9)
    held = unrolled(looped.audio, looped.loop, 20 * RATE)
    assert np.ptp(levels(held[2 * RATE :], 4800)) < 0.3


def test_both_channels_are_looped_at_one_place():
    both = np.concatenate([tone(330), tone(330, 660)], axis=1)
    looped = find_loop(both, RATE, 330, 1.0, 3.9)
    assert looped.audio.shape[1] == 2
    for side in (0, 1):
        assert click(looped.audio[:, [side]], looped.loop, RATE) < 1


def test_too_short_a_note_is_not_looped():
    assert find_loop(tone(440, seconds=0.003), RATE, 440, 0.0, 0.003) is None


def test_unrolling():
    audio = np.arange(10, dtype=np.float32)[:, None]
    played = unrolled(audio, Loop(4, 8), 15)[:, 0].tolist()
    assert played == [0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6]
    assert unrolled(audio, None, 12)[:, 0].tolist() == [*range(10), 0, 0]


def test_behind_the_end_stands_what_follows_the_start():
    audio = tone(437.0)
    made = crossfaded(audio, Loop(20_000, 60_000), 4000, 1.0)
    assert len(made) == 60_000 + TAIL
    np.testing.assert_array_equal(made[60_000:], made[20_000 : 20_000 + TAIL])
