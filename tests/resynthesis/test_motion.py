"""Motion: known movement is measured, and random movement has the statistics it was given."""

from dataclasses import fields, replace

import numpy as np
import pytest

from mechanical_ears import Sound, analyse, render
from mechanical_ears.listening.f0 import refine
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.band_noise import BANDS
from mechanical_ears.resynthesis.motion import Motion, animate, mean_motion, measure_motion
from mechanical_ears.resynthesis.motion_statistics import GROUPS

RATE = 16_000
TIME = np.arange(4 * RATE) / RATE
MOVING = Motion(
    pitch=np.full(BANDS, 2.0),
    level=np.full(BANDS, 0.6),
    own_pitch=np.full((GROUPS, BANDS), 1.0),
    own_level=np.full((GROUPS, BANDS), 0.2),
)
VIBRATO = Motion(vibrato_rate=5.5, vibrato_depth=20.0, vibrato_ramp=0.1)


def tone(frequency, partials=12, voices=((1.0, 1.0),), cents=0.0, decibels=0.0, seed=0):
    """A sum of partials 1/n; voices are ratios and amplitudes; cents and decibels over time."""
    rng = np.random.default_rng(seed)
    turns = np.cumsum(np.exp2(np.broadcast_to(cents, TIME.shape) / 1200)) / RATE
    audio = sum(
        amplitude / n * np.sin(2 * np.pi * (n * frequency * ratio * turns + rng.random()))
        for n in range(1, partials + 1)
        for ratio, amplitude in voices
    )
    audio = 0.1 * audio * 10 ** (decibels / 20) * np.minimum(TIME / 0.01, 1)
    return Sound(audio.astype(np.float32), RATE)


@pytest.fixture(scope="module")
def steady():
    """The control map of a tone that does not move."""
    return analyse(tone(440), pitch=69)


def test_a_steady_tone_does_not_move(steady):
    motion = measure_motion(steady)
    assert motion.vibrato_rate == motion.beat_mix == 0
    for name in ("pitch", "level", "own_level"):
        assert np.max(getattr(motion, name)) < 0.05
    assert np.max(motion.own_pitch) < 1  # phases are kept in steps of 1/256 turn


@pytest.mark.parametrize(("rate", "depth"), [(5.5, 20.0), (4.2, 8.0), (6.2, 15.0)])
def test_vibrato_comes_back(rate, depth):
    note = tone(440, cents=depth * np.sin(2 * np.pi * rate * TIME))
    motion = measure_motion(analyse(note, pitch=69))
    assert motion.vibrato_rate == pytest.approx(rate, rel=0.05)
    assert motion.vibrato_depth == pytest.approx(depth, rel=0.05)
    assert motion.vibrato_delay < 0.15


def test_vibrato_that_begins_late_has_a_delay():
    ramp = np.clip((TIME - 1.0) / 0.5, 0, 1)
    note = tone(440, cents=25 * ramp * np.sin(2 * np.pi * 5.5 * TIME))
    motion = measure_motion(analyse(note, pitch=69))
    assert motion.vibrato_delay == pytest.approx(1.1, abs=0.12)
    assert motion.vibrato_ramp == pytest.approx(0.3, abs=0.15)


def test_tremolo_has_no_vibrato():
    note = tone(440, decibels=2 * np.sin(2 * np.pi * 5 * TIME))
    motion = measure_motion(analyse(note, pitch=69))
    assert motion.vibrato_rate == pytest.approx(5, rel=0.05)
    assert motion.vibrato_depth == 0
    np.testing.assert_allclose(motion.tremolo_depth[:4], 2, rtol=0.15)


@pytest.mark.parametrize("lead", [0.0, np.pi / 2, np.pi])
def test_the_phase_of_level_to_pitch_comes_back(lead):
    angle = 2 * np.pi * 5.5 * TIME
    note = tone(440, cents=20 * np.cos(angle), decibels=1.5 * np.cos(angle + lead))
    motion = measure_motion(analyse(note, pitch=69))
    apart = np.angle(np.exp(1j * (motion.tremolo_phase[:4] - lead)))
    assert np.abs(apart).max() < 0.3


@pytest.mark.parametrize("apart", [0.7, 1.4])
def test_two_strings_beat_at_their_distance(apart):
    note = tone(220, voices=((1.0, 1.0), ((220 + apart) / 220, 0.8)))
    motion = measure_motion(analyse(note, pitch=57))
    assert motion.beat_rate == pytest.approx(apart, rel=0.05)
    assert motion.beat_growth == pytest.approx(1, abs=0.05)
    assert motion.beat_mix == pytest.approx(0.8, abs=0.1)


def test_random_movement_keeps_its_spectrum(steady):
    """White jitter of pitch and level comes back in all bands that a map of 576 frames resolves."""
    measured = [measure_motion(animate(steady, MOVING, seed)) for seed in range(12)]
    mean = mean_motion(measured, [1] * len(measured))
    np.testing.assert_allclose(mean.pitch[1:8], 2.0, rtol=0.25)
    np.testing.assert_allclose(mean.level[1:8], 0.6, rtol=0.25)
    np.testing.assert_allclose(mean.own_pitch[:4, 1:7], 1.0, rtol=0.3)
    np.testing.assert_allclose(mean.own_level[:4, 1:7], 0.2, rtol=0.3)


def test_vibrato_that_was_drawn_is_heard(steady):
    sound = render(animate(steady, VIBRATO, 3), sample_rate=RATE)
    motion = measure_motion(analyse(sound, pitch=69))
    assert motion.vibrato_rate == pytest.approx(5.5, rel=0.03)
    assert motion.vibrato_depth == pytest.approx(20, rel=0.05)


def test_the_mean_pitch_stays(steady):
    for motion in (MOVING, VIBRATO):
        sound = render(animate(steady, motion, 5), pitch=69, sample_rate=RATE)
        frequency = refine(sound.samples, RATE, 69).frequency
        assert abs(cents_between(frequency, midi_to_hz(69))) < 1


def test_repeats_differ_and_a_seed_is_the_same(steady):
    first, again, other = (animate(steady, MOVING, seed) for seed in (1, 1, 2))
    for part in fields(first):
        assert np.array_equal(getattr(first, part.name), getattr(again, part.name))
    sounds = [render(each, sample_rate=RATE).samples[RATE : 3 * RATE] for each in (first, other)]
    assert np.corrcoef(sounds)[0, 1] < 0.9


def test_the_attack_is_left_alone(steady):
    moved = animate(steady, MOVING, 1)
    early = moved.times < 0.08
    levels = np.stack([np.interp(moved.times[early], steady.times, row) for row in steady.partials])
    audible = steady.partials.max(axis=1) > -80
    np.testing.assert_allclose(moved.partials[audible][:, early], levels[audible], atol=0.3)


def test_no_motion_smooths_what_moved():
    note = analyse(tone(440, cents=20 * np.sin(2 * np.pi * 5.5 * TIME)), pitch=69)
    still = measure_motion(animate(note, Motion(), 1))
    assert still.vibrato_rate == 0
    assert np.sqrt((still.pitch**2).sum()) < 2


def test_a_longer_note_moves_all_the_way(steady):
    moved = animate(steady, MOVING, 1, seconds=9.0)
    assert moved.seconds == pytest.approx(9.0)
    assert moved.key_up == pytest.approx(9.0 - (steady.seconds - steady.key_up))
    late = moved.partials[0].astype(float)[(moved.times > 6) & (moved.times < 8)]
    early = moved.partials[0].astype(float)[(moved.times > 1) & (moved.times < 3)]
    assert late.std() > 0.3
    assert early.std() > 0.3


def test_silent_rows_stay_silent(steady):
    moved = animate(steady, MOVING, 1)
    silent = steady.partials.max(axis=1) <= -119
    assert silent.any()
    assert moved.partials[silent].max() == -120


def test_a_short_note_has_no_motion():
    short = Sound(tone(440).samples[: RATE // 2], RATE)
    assert measure_motion(analyse(short, pitch=69)) is None


def test_a_vector_holds_everything():
    motion = replace(MOVING, vibrato_rate=5.0, beat_rate=0.7, beat_growth=0.9, beat_mix=0.3)
    again = Motion.from_vector(motion.to_vector())
    for part in fields(Motion):
        assert np.array_equal(getattr(again, part.name), getattr(motion, part.name))


def test_scaling():
    motion = replace(MOVING, vibrato_depth=10.0, beat_mix=0.8)
    half, still = motion.scaled(0.5), motion.scaled(0.0)
    assert half.vibrato_depth == 5
    np.testing.assert_allclose(half.own_level, 0.1)
    assert still.beat_mix == np.max(still.pitch) == 0
    assert motion.scaled(2.0).beat_mix == 1


def test_the_mean_is_of_squares():
    one, other = Motion(level=np.full(BANDS, 3.0)), Motion(level=np.full(BANDS, 4.0))
    np.testing.assert_allclose(mean_motion([one, other], [1, 1]).level, np.sqrt(12.5))
    np.testing.assert_allclose(mean_motion([one, other], [1, 0]).level, 3)
