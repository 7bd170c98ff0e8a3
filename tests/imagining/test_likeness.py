"""Recordings analysed; the timbre that generated recordings is found again."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears import EarsError, Note, Sound, imagine
from mechanical_ears.errors import SoundError
from mechanical_ears.imagining.likeness import (
    MAX_SECONDS,
    RecordedNote,
    analyse_recording,
    fit_likeness,
)
from mechanical_ears.imagining.residual import BELIEVED_STEP
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import to_control_maps
from mechanical_ears.resynthesis.grid_features import apply_gain
from support.toy_model import DECIBELS_PER_VELOCITY, TIMBRE_SIZE

PITCHES, VELOCITIES = [48.0, 60.0, 67.0], [100, 100, 40]
RATE = 44_100  # Hz


def timbre(seed, deviation=0.5):
    """A timbre among those that the toy model generates; its first number has no effect."""
    values = deviation * np.random.default_rng(seed).standard_normal(TIMBRE_SIZE)
    values[0] = 0
    return values.astype(np.float32)


def generated(model, timbre, gain=0.0):
    """Notes whose control grids the model generates: what a perfect analysis would return."""
    grid = apply_gain(model.generate(timbre, PITCHES, VELOCITIES), gain)
    maps = to_control_maps(grid, PITCHES)
    return [
        RecordedNote(
            grid=grid[[row]],
            pitch=pitch,
            velocity=velocity,
            known_rows=np.ones(64, dtype=bool),
            known_bands=np.ones(40, dtype=bool),
            has_release=True,
            control_map=maps[row],
        )
        for row, (pitch, velocity) in enumerate(zip(PITCHES, VELOCITIES, strict=True))
    ]


@pytest.mark.parametrize("gain", [0.0, -12.0, 9.0])
def test_the_timbre_and_the_gain_that_generated_recordings_are_found(toy, gain):
    expected = timbre(3)
    found = fit_likeness(toy, generated(toy, expected, gain))
    assert np.corrcoef(found.timbre, expected)[0, 1] > 0.95
    assert found.gain == pytest.approx(gain, abs=0.4)
    assert found.families.shape == (len(FAMILIES),)
    assert found.families.sum() == pytest.approx(1, abs=1e-5)
    truth, result = (
        toy.generate(each, PITCHES, VELOCITIES).partials for each in (expected, found.timbre)
    )
    audible = truth > truth.max(axis=(1, 2), keepdims=True) - 50
    assert np.abs(result - truth)[audible].mean() < 0.15  # dB


def test_what_no_timbre_can_is_in_the_residual(toy):
    notes = generated(toy, timbre(3))
    for note in notes:
        note.grid.noise[:, 5] += 20.0  # the toy's timbres move partials only
    residual = fit_likeness(toy, notes).residual
    difference = residual.differences["noise"]
    assert np.median(difference[:, 5]) == pytest.approx(20, abs=3)
    assert np.abs(np.median(difference[:, 6])) < 1
    assert residual.pitches.tolist() == PITCHES
    assert residual.velocities.tolist() == VELOCITIES


def test_an_instrument_like_recordings_plays_them_at_their_keys(toy):
    notes = generated(toy, timbre(3))
    for note in notes:
        note.grid.noise[:, 5] += 20.0
    found = fit_likeness(toy, notes)
    imagined = toy.generate(found.timbre, PITCHES, VELOCITIES)
    result = found.residual.add_to(imagined, PITCHES, VELOCITIES, imagined)
    result = apply_gain(result, found.gain)
    for row, note in enumerate(notes):
        for levels, expected in (
            (result.partials[row, :8], note.grid.partials[0, :8]),
            (result.noise[row, :8], note.grid.noise[0, :8]),
        ):
            audible = expected > -110
            np.testing.assert_allclose(levels[audible], expected[audible], atol=0.2)


def test_other_velocities_are_the_models(toy):
    """One recording; the toy model is 0.2 dB louder for each step of velocity."""
    (note, *_) = generated(toy, timbre(3))
    found = fit_likeness(toy, [note])
    grids = toy.generate(found.timbre, [48, 48], [100, 80])
    result = found.residual.add_to(grids, [48, 48], [100, 80], grids)
    step = result.partials[0, :4, :40].mean() - result.partials[1, :4, :40].mean()
    assert step == pytest.approx(20 * DECIBELS_PER_VELOCITY, abs=0.5)
    assert 0 < BELIEVED_STEP < 1


def test_a_recording_is_analysed(toy):
    sound = imagine(5, family="mallet", model=toy).note(60, 100, sample_rate=RATE)
    note = analyse_recording(Note(sound, 60, 80, "a note"))
    assert note.pitch == pytest.approx(60, abs=0.01)
    assert note.velocity == 80
    assert note.has_release
    assert note.known_rows[:48].all()
    assert note.control_map.key_up == pytest.approx(3, abs=0.2)


def test_a_low_sample_rate_leaves_rows_unknown(toy):
    sound = imagine(5, family="mallet", model=toy).note(60, 100, sample_rate=RATE)
    note = analyse_recording(Note(sound.resample(8000), 60, 100, "a note"))
    frequency = 440 * 2 ** (-9 / 12)
    highest = int(0.98 * 4000 / frequency)
    assert note.known_rows[:highest].all()
    assert not note.known_rows[highest:].any()
    assert not note.known_bands.all()


def test_a_long_recording_is_cut(toy):
    sound = imagine(5, family="organ", model=toy).note(60, 100, 2.0, RATE)
    long = Sound(np.tile(sound.samples, 10), RATE)
    note = analyse_recording(Note(long, 60, 100, "a loop"))
    assert note.control_map.seconds <= MAX_SECONDS


def test_silence_is_refused():
    with pytest.raises(SoundError, match="is silent"):
        analyse_recording(Sound([0.0] * RATE, RATE))


def test_noise_has_no_pitch(tmp_path):
    noise = 0.1 * np.random.default_rng(1).standard_normal(2 * RATE)
    path = Sound(noise.astype(np.float32), RATE).save(tmp_path / "hiss.wav")
    with pytest.raises(SoundError, match=r"hiss\.wav: has no single pitch .* such as C4\.wav"):
        analyse_recording(path)


def test_without_recordings_there_is_no_likeness(toy):
    with pytest.raises(EarsError, match="no recording is given"):
        fit_likeness(toy, [])
