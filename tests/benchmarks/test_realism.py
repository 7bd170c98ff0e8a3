"""The benchmark of realism: folds, classifiers, movement and repeats on toy sounds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from discrimination import (
    RATE,
    assign_folds,
    balanced_accuracy,
    chain,
    cnn_answers,
    discriminate,
    features,
    from_onset,
    log_mel,
)
from mechanical_ears.loudness import loudness
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound
from realism import MIN_NOTES, _read, halves, movement, repeat_correlation

pytestmark = pytest.mark.slow

TIME = np.arange(3 * RATE) / RATE


def tone(key, vibrato=0.0, tremolo=0.0, seed=0):
    """Six partials; 5.5 Hz, vibrato in cents and tremolo in dB (amplitudes)."""
    rng = np.random.default_rng(seed)
    swing = np.sin(2 * np.pi * 5.5 * TIME + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(midi_to_hz(key) * 2 ** (vibrato * swing / 1200)) / RATE
    partials = sum(np.sin(n * phase + rng.uniform(0, 6)) / n for n in range(1, 7))
    samples = 0.1 * partials * 10 ** (tremolo * swing / 20) * np.minimum(TIME / 0.02, 1)
    return (samples + 1e-4 * rng.normal(size=len(TIME))).astype(np.float32)


def test_groups_stay_together_in_folds():
    groups = ["a"] * 7 + ["b"] * 3 + ["c"] * 2 + ["d"] * 2
    folds = assign_folds(groups, 0, 3)
    assert len(set(folds)) == 3
    for name in "abcd":
        assert len({fold for fold, group in zip(folds, groups, strict=True) if group == name}) == 1
    assert sorted(np.bincount(folds)) == [3, 4, 7]


def test_chain_aligns_loudness_and_length():
    quiet, loud = 0.1 * tone(60), tone(60)
    late = np.concatenate([np.zeros(4000, np.float32), quiet])
    chained = [chain(from_onset(Sound(samples, RATE))) for samples in (late, loud)]
    assert [len(samples) for samples in chained] == [2 * RATE, 2 * RATE]
    assert loudness(chained[0], RATE) == pytest.approx(loudness(chained[1], RATE), abs=0.3)


def test_movement_is_measured():
    am, fm = movement(tone(57), 57, 3.0)
    assert am < 0.1
    assert fm < 0.3
    am, fm = movement(tone(57, vibrato=20), 57, 3.0)
    assert fm == pytest.approx(20 / np.sqrt(2), rel=0.1)
    am, _ = movement(tone(57, tremolo=3), 57, 3.0)
    assert am == pytest.approx(3 / np.sqrt(2), rel=0.1)
    assert movement(tone(57), 57, 1.0) is None


def test_repeats():
    assert repeat_correlation(tone(60), tone(60)) == pytest.approx(1)
    assert repeat_correlation(tone(60), tone(60, vibrato=30, seed=1)) < 0.9


def test_classifiers_distinguish_notes_by_their_motion():
    keys = np.random.default_rng(0).integers(50, 70, 24)
    still = [log_mel(chain(tone(key, seed=i))) for i, key in enumerate(keys)]
    moving = [log_mel(chain(tone(key, 30, 2, seed=99 + i))) for i, key in enumerate(keys)]
    groups = [str(number % 4) for number in range(24)]
    names = ("spectrum", "motion")
    answers = discriminate(still, moving, (groups, groups), 0, names, folds=2)
    assert balanced_accuracy(answers["motion"], 24) > 90
    assert balanced_accuracy(answers["spectrum"], 24) < balanced_accuracy(answers["motion"], 24)
    again = discriminate(still, moving, (groups, groups), 0, names, folds=2)
    assert all(np.array_equal(answers[name], again[name]) for name in names)


def test_cnn_distinguishes_rough_notes_from_smooth_ones():
    rng = np.random.default_rng(0)
    levels = np.repeat(log_mel(chain(tone(60)))[None], 48, axis=0)
    levels[24:] += 6 * rng.normal(size=(24, *levels.shape[1:]))
    labels, folds = np.repeat([0, 1], 24), np.arange(48) % 2
    correct = cnn_answers(levels.astype(np.float32), labels, folds, 0, epochs=80)
    assert balanced_accuracy(correct, 24) > 90


def test_features_have_their_parts():
    described = features(log_mel(chain(tone(60))))
    assert {name: len(values) for name, values in described.items()} == {
        "all": 16 + 9 * 16 + 9,
        "spectrum": 16,
        "motion": 9 * 16 + 9,
        "first 0.3 s": 12 * 16,
    }


def test_halves_hold_each_recording_once(tmp_path):
    Sound(tone(60), RATE).save(tmp_path / "note.wav")
    row = {
        "path": "note.wav",
        "pitch": "60",
        "velocity": "000",
        "source": "toy",
        "instrument": "tone",
        "origin_group": "toys",
        "family": "reed",
    }
    recording = _read((tmp_path, row))
    assert recording.instrument == "toy/tone"
    assert recording.velocity == 100
    recordings = [recording] * 5
    comparison = halves(recordings, [np.full((1, 1), number) for number in range(5)], 0)
    numbers = [int(levels[0, 0]) for levels in (*comparison.first, *comparison.second)]
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert len(comparison.first) == 3
    assert comparison.groups == (["toys"] * 3, ["toys"] * 2)
    assert MIN_NOTES == 200
