"""Imagined instruments as a player knows them: the same sound for the same seed, in tune."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mechanical_ears import ImaginedInstrument, Note, Sound, imagine
from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.loudness_match import match_loudness
from mechanical_ears.listening.f0 import refine
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from support.toy_model import DECIBELS_PER_VELOCITY, write_toy


def level(sound):
    return 10 * np.log10(np.mean(np.square(sound.samples, dtype=np.float64)))


def test_the_same_seed_is_the_same_sound(toy_weights):
    one = imagine(5, family="mallet", model=toy_weights)
    two = imagine(5, family="mallet", model=toy_weights)
    for arguments in [(60,), (60, 30), (61.5, 127, 1.0, 16_000), (20, 100, 2.0, 44_100, 3)]:
        first, second = one.note(*arguments), two.note(*arguments)
        assert first.sample_rate == second.sample_rate
        np.testing.assert_array_equal(first.samples, second.samples)
    other = imagine(6, family="mallet", model=toy_weights)
    assert spectral_distance(one.note(60).samples, other.note(60).samples, 48_000).lsd > 3


def test_notes_of_different_lengths_are_the_same_as_one_by_one(toy):
    instrument = imagine(1, model=toy)
    pairs = [(40 + number, 60 + number) for number in range(10)]
    lengths = [0.2 + 0.1 * number for number in range(10)]
    played = instrument.notes(pairs, lengths, 16_000)
    for (pitch, velocity), seconds, sound in zip(pairs, lengths, played, strict=True):
        alone = instrument.note(pitch, velocity, seconds, 16_000)
        np.testing.assert_array_equal(sound.samples, alone.samples)
    with pytest.raises(EarsError, match="10 notes, but 9 lengths"):
        next(instrument.notes(pairs, lengths[:-1], 16_000))


def test_many_notes_are_the_same_as_one_by_one(toy):
    instrument = imagine(1, model=toy)
    pairs = [(pitch, velocity) for pitch in range(40, 70, 3) for velocity in (40, 110)]
    calls = []
    sounds = list(
        instrument.notes(pairs, 0.5, 16_000, progress=lambda done, of: calls.append((done, of)))
    )
    assert calls == [(done, 20) for done in range(1, 21)]
    for (pitch, velocity), sound in zip(pairs, sounds, strict=True):
        alone = instrument.note(pitch, velocity, 0.5, 16_000)
        np.testing.assert_array_equal(sound.samples, alone.samples)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_every_key_is_in_tune(toy, rate):
    instrument = imagine(2, family="string", model=toy)
    for pitch in (24, 45.5, 60, 77, 100):
        measured = refine(instrument.note(pitch, sample_rate=rate).samples, rate, pitch).frequency
        assert abs(cents_between(measured, midi_to_hz(pitch))) < 0.1


def test_keys_beyond_the_piano_sound_too(toy):
    instrument = imagine(2, family="string", model=toy)
    for pitch in (0, 12, 115, 127):
        sound = instrument.note(pitch)
        assert level(sound) > -75
        measured = refine(sound.samples, 48_000, pitch).frequency
        assert abs(cents_between(measured, midi_to_hz(pitch))) < 1


def test_velocity_changes_the_level_as_the_model_says(toy):
    instrument = imagine(3, family="organ", model=toy)
    levels = [level(instrument.note(57, velocity)) for velocity in (60, 80, 100, 120)]
    np.testing.assert_allclose(np.diff(levels), 20 * DECIBELS_PER_VELOCITY, atol=0.15)


def test_gain_and_the_highest_peak(toy):
    instrument = imagine(3, family="organ", model=toy)
    louder = instrument.replace(gain=instrument.gain + 6.0)
    assert abs(level(louder.note(60)) - level(instrument.note(60)) - 6) < 0.05
    loudest = instrument.replace(gain=60.0).note(60)
    assert np.abs(loudest.samples).max() == pytest.approx(0.99, abs=1e-3)


def test_length_and_rate(toy):
    instrument = imagine(4, model=toy)
    for seconds, rate in [(0.3, 16_000), (4.0, 44_100), (9.5, 48_000), (2.0, 96_000)]:
        sound = instrument.note(60, 100, seconds, rate)
        assert (len(sound.samples), sound.sample_rate) == (round(seconds * rate), rate)
    assert instrument.note(60).seconds == 4


def test_round_robins_differ_a_little(toy):
    instrument = imagine(8, family="keyboard", model=toy)
    first, second = (instrument.note(60, round_robin=round_robin).samples for round_robin in (0, 1))
    assert not np.array_equal(first, second)
    distance = spectral_distance(first, second, 48_000).mel
    other = imagine(9, family="keyboard", model=toy).note(60).samples
    assert 0 < distance < 0.5 * spectral_distance(first, other, 48_000).mel


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((128,), "pitch 128 is outside 0..127"),
        ((-1,), "pitch -1 is outside 0..127"),
        ((float("nan"),), "pitch nan is outside"),
        ((60, 0), "velocity 0 is outside 1..127"),
        ((60, 128), "velocity 128 is outside 1..127"),
        ((60, 100, 0.0), "0 s is outside"),
        ((60, 100, 1.0, 10), "sample rate is 10 Hz"),
    ],
)
def test_out_of_range(toy, arguments, words):
    with pytest.raises(EarsError, match=words):
        imagine(4, model=toy).note(*arguments)


def test_what_the_ears_hear(toy):
    instrument = imagine(5, family="mallet", model=toy)
    hearing = instrument.hear((48, 60, 72))
    assert [note.sounding_pitch for note in hearing.hearings] == [48, 60, 72]
    assert hearing.correct_keys == 3
    assert hearing.novelty == pytest.approx(1 - hearing.nearest[0][1])
    assert hearing.nearest[0][1] >= hearing.nearest[1][1]


def test_saved_and_read_again(tmp_path, toy_weights, toy):
    instrument = imagine(5, family="mallet", brightness=1.5, model=toy_weights)
    instrument.save(tmp_path / "instrument.json")
    loaded = ImaginedInstrument.load(tmp_path, toy)
    np.testing.assert_array_equal(loaded.note(64).samples, instrument.note(64).samples)
    assert (loaded.name, loaded.family, loaded.seed) == (instrument.name, "mallet", 5)
    values = json.loads((tmp_path / "instrument.json").read_text())
    assert values["weights"] == {"version": "1", "sha256": toy.sha256}
    assert values["origin"]["turned"] == {"bright": 1.5}
    assert values["heard"]["family"] == instrument.hearing.family
    assert values["novelty"] == pytest.approx(instrument.hearing.novelty, abs=1e-4)
    assert values["licence"] == "CC0-1.0"


def test_the_residual_is_saved(tmp_path, toy):
    recorded = imagine(5, family="mallet", model=toy).note(60, 100, sample_rate=44_100)
    instrument = imagine(like=Note(recorded, 60, 100, "recorded"), model=toy)
    instrument.save(tmp_path / "mine.json")
    assert (tmp_path / "mine.safetensors").exists()
    loaded = ImaginedInstrument.load(tmp_path / "mine.json", toy)
    for pitch in (60, 66):
        np.testing.assert_array_equal(loaded.note(pitch).samples, instrument.note(pitch).samples)
    (tmp_path / "mine.safetensors").write_bytes(b"no")
    with pytest.raises(EarsError, match=r"mine\.safetensors"):
        ImaginedInstrument.load(tmp_path / "mine.json", toy)
    (tmp_path / "mine.safetensors").unlink()
    with pytest.raises(EarsError, match="is missing"):
        ImaginedInstrument.load(tmp_path / "mine.json", toy)


def test_a_saved_morph_sounds_as_before(tmp_path, toy):
    """Shares of residuals are stored in single precision, in memory too."""
    notes = [imagine(seed, model=toy).note(60, 100, sample_rate=44_100) for seed in (5, 6)]
    ends = tuple(Note(note, 60, 100, "recorded") for note in notes)
    instrument = imagine(morph=ends, mix=0.3, model=toy)
    loaded = ImaginedInstrument.load(instrument.save(tmp_path / "morph.json"), toy)
    np.testing.assert_array_equal(loaded.note(66).samples, instrument.note(66).samples)


def test_the_notes_for_the_ears_are_rendered_once(toy, monkeypatch):
    candidate = imagine(5, candidate=0, model=toy).replace(gain=0.0, balance=())
    calls = []
    render = ImaginedInstrument._render
    monkeypatch.setattr(
        ImaginedInstrument,
        "_render",
        lambda self, *arguments: calls.append(self) or render(self, *arguments),
    )
    hearing = candidate.hearing
    assert candidate.hearing is hearing
    match_loudness(candidate)
    assert calls == [candidate]


def _changed(**changes):
    return lambda values: json.dumps({**values, **changes})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda values: "", "is not an instrument that can be read"),
        (lambda values: "[1]", "is JSON, but not an instrument"),
        (_changed(format="other"), "is JSON, but not an instrument"),
        (_changed(version=2), "is of version 2, this program reads 1; update"),
        (_changed(timbre=[0.0] * 63), "is damaged"),
        (_changed(timbre=["x"] * 64), "is damaged"),
        (_changed(timbre=None), "is damaged"),
        (_changed(weights=None), "is damaged"),
        (_changed(family="kazoo"), "is damaged"),
        (_changed(gain="loud"), "is damaged"),
        (_changed(gain=float("nan")), "is damaged"),
        (_changed(seed=[]), "is damaged"),
    ],
)
def test_a_damaged_instrument(tmp_path, toy, damage, words):
    file = imagine(5, model=toy).save(tmp_path / "i.json")
    file.write_text(damage(json.loads(file.read_text())))
    with pytest.raises(EarsError, match=words) as caught:
        ImaginedInstrument.load(file, toy)
    assert str(caught.value).startswith(str(file))


def test_other_weights_are_refused(tmp_path, toy):
    file = imagine(5, model=toy).save(tmp_path / "i.json")
    others = write_toy(tmp_path / "others", trained_on="something")
    with pytest.raises(EarsError, match="was imagined with other weights; give those of"):
        ImaginedInstrument.load(file, others)


def test_sounds_are_sounds(toy):
    assert isinstance(imagine(3, model=toy).note(60), Sound)


@pytest.fixture(scope="module")
def violin():
    return imagine(seed=5, family="string")


class TestMotion:
    """Notes move as recorded ones of their family do, each repetition in its own way."""

    def test_no_motion_is_the_note_as_it_was(self, violin):
        assert np.array_equal(violin.note(60).samples, violin.note(60, motion=0.0).samples)

    def test_repetitions_move_differently_and_a_repetition_is_the_same(self, violin):
        first, again, other = (
            violin.note(64, 90, motion=1.0, round_robin=number).samples for number in (0, 0, 1)
        )
        assert np.array_equal(first, again)
        held = slice(48_000, 120_000)
        assert np.corrcoef(first[held], other[held])[0, 1] < 0.9

    def test_the_pitch_stays(self, violin):
        sound = violin.note(64, 90, motion=1.0)
        frequency = refine(sound.samples, sound.sample_rate, 64).frequency
        assert abs(cents_between(frequency, midi_to_hz(64))) < 5

    def test_more_motion_moves_more(self, violin):
        still, moved = (violin.note(64, 90, motion=amount) for amount in (0.0, 2.0))

        def unrest(sound):
            power = np.square(sound.samples[24_000:120_000]).reshape(-1, 960).mean(axis=1)
            return np.abs(np.diff(10 * np.log10(power))).mean()

        assert unrest(moved) > 1.5 * unrest(still)

    def test_long_and_short_notes(self, violin):
        for seconds in (0.5, 9.0, 20.0):
            sound = violin.note(60, motion=1.0, seconds=seconds)
            assert sound.seconds == pytest.approx(seconds)
            assert np.isfinite(sound.samples).all()

    def test_out_of_range(self, violin):
        with pytest.raises(EarsError, match='"motion" is 3, outside 0'):
            violin.note(60, motion=3.0)

    def test_a_mixture_moves(self):
        mixed = imagine(seed=2, family="mallet+vocal")
        assert not np.array_equal(mixed.note(60).samples, mixed.note(60, motion=1.0).samples)
