"""`imagine`: from a seed, from recordings, between two instruments, with qualities changed."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears import EarsError, Note, Sound, imagine
from mechanical_ears.imagining.imagine import family_shares
from mechanical_ears.imagining.patch import TIMBRE_SIZE
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.rng import normal


@pytest.fixture(scope="module")
def recorded(toy):
    """An instrument to be recorded, and recordings of it."""
    instrument = imagine(21, family="guitar", model=toy)
    notes = {
        pitch: Note(instrument.note(pitch, 100, sample_rate=44_100), pitch, 100, "a guitar")
        for pitch in (48, 60)
    }
    return instrument, notes


def test_the_seed_determines_z(toy):
    timbre = imagine(3, family="flute", candidate=0, model=toy).timbre
    np.testing.assert_allclose(timbre, toy.map_latent(normal(3, TIMBRE_SIZE), {"flute": 1}))


@pytest.mark.slow
def test_seeds_choose_every_family(toy):
    families = [imagine(seed, model=toy).family for seed in range(80)]
    assert set(families) == set(FAMILIES)
    assert imagine(model=toy).seed != imagine(model=toy).seed


def test_mixed_families(toy):
    mixed = imagine(3, family="mallet+vocal", candidate=0, model=toy)
    assert mixed.family is None
    expected = toy.map_latent(normal(3, TIMBRE_SIZE), {"mallet": 0.5, "vocal": 0.5})
    np.testing.assert_array_equal(mixed.timbre, expected)
    again = imagine(3, family={"mallet": 2, "vocal": 2}, candidate=0, model=toy)
    np.testing.assert_array_equal(again.timbre, expected)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("malet", 'did you mean "mallet"'),
        ("Organ", 'did you mean "organ"'),
        ("strings", 'did you mean "string"'),
        ("mallet+xyzzy", '"xyzzy" is not an instrument family; use one of bass'),
        ("", '"" is not an instrument family'),
        ({"mallet": -1}, "not above 0"),
        ({}, "no family is given"),
    ],
)
def test_unknown_families(family, words):
    with pytest.raises(EarsError, match=words):
        family_shares(family)


def test_qualities_move_the_timbre_along_directions(toy):
    plain = imagine(3, family="flute", model=toy)
    changed = imagine(3, family="flute", brightness=2, sustain=-1, model=toy)
    expected = plain.timbre + 2 * toy.directions["bright"] - toy.directions["sustain"]
    np.testing.assert_allclose(changed.timbre, expected, rtol=1e-6)
    assert "bright +2, sustain -1" in changed.name


def test_like_one_recording_it_sounds_like_it(toy, recorded):
    instrument, notes = recorded
    like = imagine(like=notes[60], model=toy)
    original = notes[60].sound.samples
    distance = spectral_distance(original, like.note(60, 100, sample_rate=44_100).samples, 44_100)
    assert distance.mel < 4.5
    other = imagine(22, family="vocal", model=toy)
    others = [55, 72], [100, 100]
    truth, near, far = (
        each.control_grid(*others).partials[:, :8] for each in (instrument, like, other)
    )
    assert np.abs(near - truth).mean() < 1.5  # dB
    assert np.abs(far - truth).mean() > 4


def test_like_recordings_at_any_level(toy, recorded):
    _, notes = recorded
    loud = imagine(like=notes[60], model=toy)
    sound = notes[60].sound
    soft = imagine(like=Note(Sound(sound.samples / 10, 44_100), 60, 100, "soft"), model=toy)
    assert soft.gain == pytest.approx(loud.gain - 20, abs=0.5)
    difference = np.abs(soft.timbre - loud.timbre).mean()
    assert difference < 0.3 * np.abs(loud.timbre).mean()


def test_like_files(toy, recorded, tmp_path):
    _, notes = recorded
    for pitch, note in notes.items():
        note.sound.save(tmp_path / f"guitar {pitch:03d}_100.wav")
    files = sorted(tmp_path.iterdir())
    by_name = imagine(like=files, model=toy)
    assert by_name.residual is not None
    np.testing.assert_allclose(by_name.residual.pitches, [48, 60], atol=0.01)
    np.testing.assert_array_equal(by_name.residual.velocities, [100, 100])
    files[1].rename(tmp_path / "recording.wav")
    by_ear = imagine(like=str(tmp_path / "recording.wav"), model=toy)
    np.testing.assert_allclose(by_ear.residual.pitches, [60], atol=0.01)
    assert by_ear.name == "like recording.wav"
    assert "recordings" in by_ear.licence


def test_like_a_recording_of_a_low_rate(toy, recorded):
    instrument, notes = recorded
    sound = notes[60].sound.resample(11_025)
    result = imagine(like=Note(sound, 60, 100, "an old sampler"), model=toy)
    truth = instrument.note(60, 100, sample_rate=44_100).samples
    samples = result.note(60, 100, sample_rate=44_100).samples
    assert spectral_distance(truth, samples, 44_100).mel < 4


def test_a_morph_goes_from_the_first_to_the_second(toy, recorded):
    one, other = imagine(1, family="organ", model=toy), imagine(2, family="organ", model=toy)
    for mix, end in ((0.0, one), (1.0, other)):
        result = imagine(morph=(one, other), mix=mix, model=toy)
        np.testing.assert_allclose(result.timbre, end.timbre, atol=1e-6)
    result = imagine(morph=(1, "2"), family="organ", mix=0.25, model=toy)
    np.testing.assert_allclose(result.timbre, 0.75 * one.timbre + 0.25 * other.timbre, atol=1e-5)
    _, notes = recorded
    result = imagine(morph=(notes[60], notes[48]), mix=0.0, model=toy)
    alone = imagine(like=notes[60], model=toy)
    np.testing.assert_array_equal(result.note(60).samples, alone.note(60).samples)


def test_morphs_of_files(toy, tmp_path, recorded):
    _, notes = recorded
    notes[60].sound.save(tmp_path / "C4.wav")
    imagine(4, model=toy).save(tmp_path / "instrument.json")
    result = imagine(morph=(tmp_path / "C4.wav", tmp_path / "instrument.json"), model=toy)
    assert result.residual is not None
    assert result.residual.shares.tolist() == [0.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mix": 1.5, "morph": (1, 2)}, '"mix" is 1.5, outside 0..1'),
        ({"brightness": 11}, '"brightness" is 11, outside'),
        ({"noisiness": float("nan")}, '"noisiness" is nan'),
        ({"seed": -1}, "seed -1 is outside"),
        ({"seed": 2**40}, "outside 0..2147483647"),
        ({"seed": 1, "morph": (1, 2)}, "morph and seed are given; choose one"),
        ({"like": []}, "no recording is given"),
        ({"like": Sound([0.0] * 44_100, 44_100)}, "is silent"),
        ({"like": "none.wav"}, "none.wav: no such file"),
        ({"morph": ("none.wav", 1)}, "none.wav: no such file"),
        ({"morph": ("none.json", 1)}, "none.json: no such file"),
    ],
)
def test_bad_arguments_are_refused(toy, arguments, words):
    with pytest.raises(EarsError, match=words):
        imagine(model=toy, **arguments)


def plucked(seconds, decay=20.0, rate=44_100):
    """A note of 12 partials at C4 that falls by ``decay`` dB a second."""
    time = np.arange(round(seconds * rate)) / rate
    partials = [np.sin(2 * np.pi * 261.6256 * n * time + n) / n for n in range(1, 13)]
    wave = 0.3 * np.sum(partials, axis=0) * 10 ** (-decay * time / 20)
    return Sound(wave.astype(np.float32), rate)


def fall(sound):
    """Decibels a second between 0.5 and 2.5 s."""
    rate = sound.sample_rate
    early, late = (
        np.square(sound.samples[round(at * rate) :][: rate // 5]).mean() for at in (0.5, 2.5)
    )
    return 10 * np.log10(early / late) / 2


@pytest.mark.parametrize("seconds", [8.0, 4.5, 3.2])
def test_a_note_falls_as_recorded_however_long_it_was_held(toy, seconds):
    result = imagine(like=plucked(seconds), model=toy)
    for pitch in (60, 66):
        assert fall(result.note(pitch, 100)) == pytest.approx(20, abs=4)


def test_a_recording_cut_while_it_sounds_gets_a_release(toy):
    rate = 44_100
    result = imagine(like=plucked(6.0, 6.0), model=toy)
    sound = result.note(60, 100, sample_rate=rate).samples
    plain = imagine(1, model=toy).note(60, 100, sample_rate=rate).samples
    for samples in (sound, plain):  # the toy's string falls by 60 dB in a second
        held, released = (
            np.square(samples[round(at * rate) :][: rate // 20]).mean() for at in (2.9, 3.6)
        )
        assert 10 * np.log10(held / released) > 20


def test_a_recording_that_died_away_stays_silent(toy):
    result = imagine(like=plucked(1.5, 45.0), model=toy)
    samples = result.note(60, 100).samples
    start, end = (np.abs(samples[round(at * 48_000) :][:4800]).max() for at in (0.0, 2.5))
    assert end < 0.003 * start
