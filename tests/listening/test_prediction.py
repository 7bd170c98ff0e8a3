"""Prediction and its short answers: candidates, likeness, silence, refusals, batches."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.listening.prediction import Hearing, Prediction
from mechanical_ears.note import FAMILIES, QUALITIES, SOURCES, VELOCITIES
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound


def tone(pitch, seconds=1.0, rate=16_000, silence=0.0):
    """Six falling partials of a MIDI pitch, after silence."""
    time = np.arange(round(seconds * rate)) / rate
    audio = sum(np.sin(2 * np.pi * n * midi_to_hz(pitch) * time + n) / n for n in range(1, 7))
    return Sound(np.r_[np.zeros(round(silence * rate)), 0.2 * audio], rate)


NOISE = Sound(np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
SILENCE = Sound(np.zeros(16_000), 16_000)
PITCHES = (45, 50, 57, 62, 69, 74, 81, 52, 40, 60)


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """Ten tones in two batches, noise and silence."""
    sounds = [tone(pitch, silence=0.1 * row) for row, pitch in enumerate(PITCHES)]
    return shipped_ears().predict([*sounds, NOISE, SILENCE])


def test_shapes_and_ranges(prediction):
    rows = len(PITCHES) + 2
    widths = {
        "onset": (), "duration": (), "key": (128,), "sounding": (128,), "pitched": (),
        "frequency": (), "cents": (), "family": (len(FAMILIES),), "source": (len(SOURCES),),
        "velocity": (len(VELOCITIES),), "qualities": (len(QUALITIES),),
        "likeness": (len(prediction.instruments),),
    }  # fmt: skip
    assert len(prediction) == rows
    assert {each.name for each in fields(prediction)} == {"instruments", *widths}
    for name, width in widths.items():
        assert getattr(prediction, name).shape == (rows, *width), name
    for name in ("key", "sounding", "family", "source", "velocity"):
        np.testing.assert_allclose(getattr(prediction, name).sum(axis=1), 1, atol=1e-3)
    assert np.abs(prediction.likeness).max() <= 1.001


def test_known_tones(prediction):
    rows = range(len(PITCHES))
    np.testing.assert_array_equal(prediction.sounding.argmax(axis=1)[rows], PITCHES)
    np.testing.assert_allclose(
        prediction.frequency[rows], [midi_to_hz(pitch) for pitch in PITCHES], rtol=1e-4
    )
    np.testing.assert_allclose(prediction.cents[rows], 0, atol=0.2)
    np.testing.assert_allclose(prediction.onset[rows], np.arange(len(PITCHES)) / 10, atol=0.002)
    np.testing.assert_allclose(prediction.duration[rows], 1 + np.arange(len(PITCHES)) / 10)


def test_candidates_are_the_likeliest_keys_also_without_a_single_pitch(prediction):
    for row in range(len(PITCHES) + 1):
        keys, shares = zip(*prediction.candidates(row), strict=True)
        assert len(keys) == len(set(keys)) == 5
        assert list(shares) == sorted(shares, reverse=True)
        np.testing.assert_array_equal(prediction.key[row, list(keys)], shares)
        assert shares[-1] >= np.sort(prediction.key[row])[-6]
        hearing = prediction.hearing(row)
        assert hearing.candidates == prediction.candidates(row)
        if hearing.pitch is not None:
            assert hearing.pitch == keys[0]
    assert prediction.hearing(len(PITCHES)).pitch is None  # noise


def test_nearest_instruments_are_those_of_greatest_likeness(prediction):
    nearest = prediction.nearest(0)
    order = prediction.likeness[0].argsort()[::-1][:3]
    assert [name for name, _ in nearest] == [prediction.instruments[column] for column in order]
    assert [likeness for _, likeness in nearest] == prediction.likeness[0, order].tolist()


def test_expected_velocity_is_the_mean_of_the_labels(prediction):
    exact = np.zeros_like(prediction.velocity)
    exact[0, 1] = 1.0
    exact[1, [1, 2]] = 0.5
    changed = replace(prediction, velocity=exact)
    assert changed.midi_velocity(0) == VELOCITIES[1]
    assert changed.midi_velocity(1) == pytest.approx((VELOCITIES[1] + VELOCITIES[2]) / 2)


def test_silence(prediction):
    row = len(PITCHES) + 1
    assert prediction.is_silent(row)
    assert math.isnan(prediction.onset[row])
    hearing = prediction.hearing(row)
    assert hearing.onset is hearing.pitch is hearing.family is None
    assert hearing.candidates == hearing.nearest == ()
    assert hearing.duration == 1


def test_hearings_are_those_of_listen(prediction):
    sounds = [tone(pitch, silence=0.1 * row) for row, pitch in enumerate(PITCHES)]
    assert shipped_ears().listen([*sounds, NOISE, SILENCE]) == prediction.hearings()


def test_channels_are_mixed():
    mono = tone(57)
    stereo = Sound(np.stack([1.5 * mono.samples, 0.5 * mono.samples], axis=1), 16_000)
    (first, second) = shipped_ears().listen([mono, stereo])
    assert second.pitch == first.pitch
    assert second.frequency == pytest.approx(first.frequency, rel=1e-6)


def test_onsets_may_be_taken_as_known():
    silence = shipped_ears().predict([tone(57, silence=0.5)], find_onsets=False)
    assert silence.onset[0] == 0
    assert shipped_ears().predict([tone(57, silence=0.5)]).onset[0] == pytest.approx(0.5, abs=0.001)


def test_no_sounds():
    nothing = shipped_ears().predict([])
    assert len(nothing) == 0
    assert nothing.key.shape == (0, 128)
    assert shipped_ears().listen([]) == []


def test_candidates_are_the_last_field_and_may_be_left_out():
    assert [each.name for each in fields(Hearing)][-1] == "candidates"
    without = Hearing(
        60, 0.9, 261.6, 60, 0.0, "guitar", 0.9, "acoustic", 100, (), 0.0, 1.0, (("a", 0.5),)
    )
    assert without.candidates == ()
