"""Loops: found where the sound repeats, cross-faded without a click or a drop in level."""

import numpy as np
import pytest

from mechanical_ears.instrument.loops import (
    TAIL_FRAMES,
    crossfade_loop,
    find_loop,
    loop_seam_db,
    seam_db,
    unroll_loop,
)
from mechanical_ears.instrument.zones import Loop
from mechanical_ears.steps import has_step

RATE = 48_000


def tone(*frequencies, seconds=4.0, decay=0.0):
    time = np.arange(round(seconds * RATE)) / RATE
    audio = sum(np.sin(2 * np.pi * f * time + n) for n, f in enumerate(frequencies))
    return (0.3 * audio * 10 ** (-decay * time / 20)).astype(np.float32)[:, None]


def levels(audio, block=480):
    whole = audio[: len(audio) // block * block, 0].reshape(-1, block).astype(np.float64)
    return 10 * np.log10(np.mean(whole**2, axis=1))


def test_a_loop_of_whole_periods_has_no_seam():
    audio = tone(440)
    period = 1200  # frames: 11 periods
    assert loop_seam_db(audio, Loop(48_000, 48_000 + 80 * period), RATE) < 1
    assert loop_seam_db(audio, Loop(48_000, 48_000 + 80 * period + 50), RATE) > 30
    assert loop_seam_db(audio, Loop(48_000, 48_000 + 80 * period + 2), RATE) > 20


@pytest.mark.parametrize("frequency", [32.7, 110.3, 441.7, 1763.0, 4186.0])
def test_a_steady_tone_loops_without_a_click(frequency):
    looped = find_loop(tone(frequency, 2 * frequency), RATE, frequency, 1.0, 3.9)
    assert looped.correlation > 0.98
    assert loop_seam_db(looped.audio, looped.loop, RATE) < 1
    held = unroll_loop(looped.audio, looped.loop, 10 * RATE)[RATE:]
    assert np.ptp(levels(held, 14_400)) < 0.5
    spectrum = np.abs(np.fft.rfft(held[:, 0] * np.hanning(len(held))))
    peak = spectrum[: round(1.5 * frequency * len(held) / RATE)].argmax() * RATE / len(held)
    assert abs(1200 * np.log2(peak / frequency)) < 5


def test_a_loop_of_beating_tones_holds_whole_beats():
    looped = find_loop(tone(440, 442), RATE, 440, 0.5, 3.9)
    beats = (looped.loop.end - looped.loop.start) / RATE / 0.5
    assert abs(beats - round(beats)) < 0.04
    assert looped.correlation > 0.99


def test_noise_keeps_its_power_through_the_cross_fade():
    noise = np.random.default_rng(1).standard_normal((4 * RATE, 1)).astype(np.float32) * 0.1
    looped = find_loop(noise, RATE, 220, 1.0, 3.9)
    assert abs(looped.correlation) < 0.3
    held = unroll_loop(looped.audio, looped.loop, 12 * RATE)
    assert np.ptp(levels(held, 2400)) < 1.2
    assert loop_seam_db(looped.audio, looped.loop, RATE) < 3


def test_a_slow_decay_does_not_jump_at_the_seam():
    looped = find_loop(tone(220, decay=2.0), RATE, 220, 1.0, 3.9)
    held = unroll_loop(looped.audio, looped.loop, 20 * RATE)
    assert np.ptp(levels(held[2 * RATE :], 4800)) < 0.3


def test_both_channels_have_one_loop():
    both = np.concatenate([tone(330), tone(330, 660)], axis=1)
    looped = find_loop(both, RATE, 330, 1.0, 3.9)
    assert looped.audio.shape[1] == 2
    for side in (0, 1):
        assert loop_seam_db(looped.audio[:, [side]], looped.loop, RATE) < 1


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.5, 1.0])
def test_cross_fade_by_its_formula(correlation):
    audio = np.arange(10, dtype=np.float32)[:, None]
    output = crossfade_loop(audio, Loop(4, 8), 2, correlation)[:, 0]
    gains = 0.5 - 0.5 * np.cos(np.pi * np.array([0.25, 0.75]))
    r = max(correlation, 0)
    norm = np.sqrt((1 - gains) ** 2 + gains**2 + 2 * r * gains * (1 - gains))
    expected = ((1 - gains) * [6, 7] + gains * [2, 3]) / norm
    np.testing.assert_allclose(output[6:8], expected, rtol=1e-6)
    assert output[:6].tolist() == [0, 1, 2, 3, 4, 5]
    if correlation == 1:  # a linear fade between 7 and 3
        assert output[7] == pytest.approx(7 - 4 * 0.853553, abs=1e-5)


def test_seam_level_by_two_impulses():
    """An impulse at the seam, another one elsewhere: the ratio of their levels."""
    audio = np.zeros((4800, 1), dtype=np.float32)
    audio[2400], audio[1000] = 0.1, 0.01
    assert seam_db(audio, 2400, RATE) == pytest.approx(20, abs=1e-3)
    audio[2400] = 0.001
    assert seam_db(audio, 2400, RATE) == pytest.approx(-20, abs=0.1)


def test_a_note_that_is_too_short_is_not_looped():
    assert find_loop(tone(440, seconds=0.003), RATE, 440, 0.0, 0.003) is None


def test_unroll_loop():
    audio = np.arange(10, dtype=np.float32)[:, None]
    output = unroll_loop(audio, Loop(4, 8), 15)[:, 0].tolist()
    assert output == [0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6]
    assert unroll_loop(audio, None, 12)[:, 0].tolist() == [*range(10), 0, 0]


def test_the_tail_continues_as_the_loop_starts():
    audio = tone(437.0)
    output = crossfade_loop(audio, Loop(20_000, 60_000), 4000, 1.0)
    assert len(output) == 60_000 + 2 * TAIL_FRAMES
    tail, start = output[60_000:], output[20_000 : 20_000 + 2 * TAIL_FRAMES]
    np.testing.assert_array_equal(tail[:TAIL_FRAMES], start[:TAIL_FRAMES])
    assert not has_step(output[:, 0], len(output), RATE)
