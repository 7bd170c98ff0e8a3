"""Accuracy of predictions that are known."""

import json

import numpy as np
import pytest

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.evaluation.pitch_accuracy import evaluate_pitch, pitch_report
from mechanical_ears.evaluation.plots import plot_confusion


def scores_of(predicted):
    """Scores with the highest for the predicted key and falling ones for the four above."""
    scores = np.zeros((len(predicted), 128), dtype=np.float32)
    for row, pitch in enumerate(predicted):
        for rank in range(5):
            scores[row, (pitch + rank) % 128] = 1 - rank / 10
    return scores


def test_accuracy_of_known_predictions():
    pitch = np.array([60, 60, 72, 30, 100])
    # right; an octave off; +1; +1; −3 (so 100 is the fourth of the five)
    predicted = [60, 72, 73, 31, 97]
    family = np.array([0, 0, 1, -1, 1])
    report = pitch_report(scores_of(predicted), pitch, family)
    assert report.overall.notes == 5
    assert report.overall.exact == pytest.approx(1 / 5)
    assert report.overall.top5 == pytest.approx(2 / 5)
    assert report.overall.chroma == pytest.approx(2 / 5)
    assert report.overall.within_one == pytest.approx(3 / 5)
    assert {name: part.notes for name, part in report.by_register.items()} == {
        "0–39": 1, "60–83": 3, "84–127": 1,
    }  # fmt: skip
    assert report.by_family["bass"].chroma == 1
    assert {name: part.notes for name, part in report.by_family.items()} == {
        "bass": 2, "brass": 2, "unknown": 1,
    }  # fmt: skip
    assert report.confusion.sum() == 5
    assert report.confusion[60, 72] == report.confusion[60, 60] == 1
    assert [60, 72, 1] in json.loads(json.dumps(report.to_json()))["confusion"]


def test_store_and_corpus_give_the_same_report(tmp_path):
    corpus = Toy(60, instruments=12)
    build_store(corpus, tmp_path / "s", split=(0.8, 0.1, 0.1))
    store = Store(tmp_path / "s")

    def loudest(audio):
        """A stand-in for a network whose predictions depend on the audio alone."""
        bins = (np.abs(audio).max(axis=1) * 127).round().astype(int)
        return scores_of(bins)

    from_store, from_corpus = evaluate_pitch(loudest, store), evaluate_pitch(loudest, corpus)
    assert from_store.overall == from_corpus.overall
    np.testing.assert_array_equal(from_store.confusion, from_corpus.confusion)
    held_out = evaluate_pitch(loudest, store, side="held-out")
    assert held_out.overall.notes == len(store.rows("held-out")) < 60


def test_picture_shows_the_shares_of_each_labelled_key():
    report = pitch_report(scores_of([60, 61, 62]), np.array([60, 60, 62]), np.array([0, 0, 0]))
    axes = plot_confusion(report, "three notes").axes[0]
    shown = axes.get_images()[0].get_array()
    assert (shown[60, 60], shown[60, 61], shown[62, 62]) == (0.5, 0.5, 1)
    assert axes.get_xlim() == (59.5, 62.5)
