"""Jumps at seams, of sounds that change by known amounts; loops of notes that move."""

import numpy as np
import pytest

from mechanical_ears.instrument.loops import find_loop, unroll_loop
from mechanical_ears.instrument.seams import measure_seam, natural_changes, pitch_frames

RATE = 48_000
SEAM = RATE // 2


def tone(frequency, cents=0.0, decibels=0.0, brightness=0.0):
    """Eight partials that change at `SEAM`, without a step; brightness in dB for each partial."""
    after = np.arange(RATE) >= SEAM
    phase = 2 * np.pi * np.cumsum(frequency * 2 ** (cents * after / 1200)) / RATE
    gains = [
        10 ** ((decibels + brightness * number) * after / 20) / number for number in range(1, 9)
    ]
    partials = [gain * np.sin(number * phase) for number, gain in enumerate(gains, start=1)]
    return (0.1 * np.sum(partials, axis=0)).astype(np.float32)


@pytest.mark.parametrize("frequency", [32.7, 110.0, 441.7, 2093.0])
def test_jumps_by_their_amounts(frequency):
    steady = measure_seam(tone(frequency), SEAM, frequency, RATE)
    assert steady.level == pytest.approx(0, abs=0.02)
    assert steady.centroid == pytest.approx(0, abs=0.5)
    assert steady.pitch == pytest.approx(0, abs=0.1)
    assert steady.excess < 0.1
    sharp = measure_seam(tone(frequency, cents=7.0), SEAM, frequency, RATE)
    assert sharp.pitch == pytest.approx(7, abs=0.3)
    assert sharp.excess == pytest.approx(7 / 3, rel=0.05)
    louder = measure_seam(tone(frequency, decibels=1.0), SEAM, frequency, RATE)
    assert louder.level == pytest.approx(1, abs=0.05)
    assert louder.excess == pytest.approx(2, rel=0.05)
    assert measure_seam(tone(frequency, brightness=0.5), SEAM, frequency, RATE).centroid > 4


def test_natural_changes_are_those_at_seams():
    """Where the pitch rises by 7 cents, and far from there."""
    changes = natural_changes(tone(220.0, cents=7.0), 220.0, RATE)
    assert changes.shape == (RATE,)
    assert changes[SEAM] == pytest.approx(7 / 3, rel=0.15)
    assert changes[SEAM - RATE // 4] < 0.1
    assert np.isinf(changes[0])
    assert np.isinf(changes[-1])
    assert np.isinf(natural_changes(np.zeros(100, np.float32), 220.0, RATE)).all()


@pytest.mark.parametrize(("tremolo", "vibrato"), [(5.5, 0.0), (0.0, 5.5), (3.1, 4.7)])
def test_loops_of_moving_notes_do_not_jump(tremolo, vibrato):
    """Tremolo of 3 dB each way, vibrato of 15 cents, at rates in Hz."""
    frequency, time = 220.0, np.arange(4 * RATE) / RATE
    cents = 15 * np.sin(2 * np.pi * vibrato * time)
    phase = 2 * np.pi * np.cumsum(frequency * 2 ** (cents / 1200)) / RATE
    level = 3 * np.sin(2 * np.pi * tremolo * time + 1)
    audio = sum(np.sin(number * phase + number) / number for number in range(1, 6))
    audio = (0.1 * audio * 10 ** (level / 20)).astype(np.float32)[:, None]
    looped = find_loop(audio, RATE, frequency, 1.0, 3.9)
    assert looped.loop.end - looped.loop.start >= RATE
    unrolled = unroll_loop(
        looped.audio, looped.loop, looped.loop.end + pitch_frames(frequency, RATE)
    )
    assert measure_seam(unrolled[:, 0], looped.loop.end, frequency, RATE).excess <= 1


def test_a_loop_lasts_a_second_where_the_note_allows_it():
    for seconds, least in ((4.0, 1.0), (1.0, 0.25)):
        audio = tone(220.0)[: round(seconds * RATE)]
        audio = np.tile(audio, 4)[: round(seconds * RATE), None]
        looped = find_loop(audio, RATE, 220.0, 0.3 * seconds, seconds)
        assert looped.loop.end - looped.loop.start >= least * RATE
