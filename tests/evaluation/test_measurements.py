"""Measurements of notes for which they are known."""

import numpy as np
import pytest

from mechanical_ears.corpus.filenames import labels_from_name
from mechanical_ears.errors import EarsError
from mechanical_ears.evaluation.judge import EvaluationNetwork
from mechanical_ears.evaluation.measurements import (
    NoteMeasurements,
    Notes,
    concatenate,
    measure_notes,
)
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound
from support.paths import EXAMPLES

FILES = sorted(EXAMPLES.glob("*.flac"))


@pytest.fixture(scope="module")
def network():
    return EvaluationNetwork.load()


def tones(keys, cents=0.0, level=0.1):
    """Notes of ten partials."""
    time = np.arange(64_000) / 16_000
    soft = np.sin(np.pi / 2 * np.minimum(1, np.minimum(time, time[::-1]) / 0.05)) ** 2
    rows = []
    for key in keys:
        frequency = midi_to_hz(key + cents / 100)
        numbers = np.arange(1, 11)
        numbers = numbers[numbers * frequency < 7800]
        partials = (
            np.sin(2 * np.pi * frequency * np.outer(numbers, time) + numbers[:, None])
            / (numbers[:, None])
        )
        rows.append(level * soft * partials.sum(axis=0))
    count = len(keys)
    return Notes(
        np.array(keys),
        np.full(count, 100),
        np.full(count, -1),
        np.array(["tone"] * count),
        audio=np.array(rows, dtype=np.float32),
    )


def test_cents_loudness_and_faults(network):
    notes = tones([45, 60, 72], cents=7)
    notes.audio[1, 30_000] += 0.5
    measured = measure_notes([notes, tones([60], level=0.05)], network)
    np.testing.assert_allclose(measured.cents, [7, 7, 7, 0], atol=0.1)
    assert list(measured.clicks) == [0, 1, 0, 0]
    assert measured.loudness[1] - measured.loudness[3] == pytest.approx(6.02, abs=0.2)
    assert not (measured.silent | measured.clipped | measured.offset).any()
    assert list(measure_notes([notes], network, look_for_faults=False).clicks) == [-1] * 3


def test_predictions_for_the_examples(network):
    labels = [labels_from_name(file.stem) for file in FILES]
    notes = Notes(
        np.array([label.pitch for label in labels]),
        np.full(len(labels), 100),
        np.full(len(labels), -1),
        np.array([file.stem for file in FILES]),
        audio=np.stack([Sound.load(file).samples for file in FILES]),
    )
    done = []
    measured = measure_notes(
        [notes[:5], notes[5:]], network, look_for_faults=False, progress=done.append
    )
    assert done == [5, len(notes)]
    assert (measured.keys.argmax(axis=1) == notes.pitch).mean() > 0.8
    np.testing.assert_allclose(measured.keys.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(measured.families.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(measured.embedding, axis=1), 1, atol=1e-5)
    assert measured.features.shape == (len(notes), 256)
    assert measured.features.min() >= 0
    # the size of batches does not matter
    whole = measure_notes([notes], network, look_for_faults=False)
    np.testing.assert_allclose(measured.features, whole.features, atol=1e-4)


def test_saved_and_loaded(network, tmp_path):
    measured = measure_notes([tones([50, 62])], network)
    measured.save(tmp_path / "measured.npz")
    again = NoteMeasurements.load(tmp_path / "measured.npz")
    assert np.array_equal(again.features, measured.features)
    assert list(again.instrument) == ["tone", "tone"]
    assert len(concatenate([measured, again[:1]])) == 3
    (tmp_path / "measured.npz").write_bytes(b"PK nothing")
    with pytest.raises(EarsError, match=r"measured\.npz: is damaged .*; remove it"):
        NoteMeasurements.load(tmp_path / "measured.npz")


def test_notes_of_another_shape_are_refused(network):
    one = tones([60])
    with pytest.raises(ValueError, match="64000"):
        Notes(one.pitch, one.velocity, one.family, one.instrument, audio=one.audio[:, :100])
    with pytest.raises(ValueError, match='"pitch" is of 2 notes'):
        Notes(np.array([1, 2]), one.velocity, one.family, one.instrument, audio=one.audio)
    with pytest.raises(ValueError, match="no note to measure"):
        measure_notes([], network)
