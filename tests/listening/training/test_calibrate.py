"""Calibration on predictions for which the best parameters are known."""

import math

import numpy as np
import pytest
import torch

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.training import calibrate
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller
from mechanical_ears.listening.training.network import ListenerOutput
from mechanical_ears.note import FAMILIES
from mechanical_ears.training.feed import StoredNotes
from support.listener_labels import make_labels


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "toy"
    build_store(Toy(60, instruments=12), path, split=(0.8, 0.1, 0.1))
    return StoredNotes.from_stores([Store(path)], "train", 16_000, 64_000)


def output_of(velocity, pitched):
    sizes = {"key": 128, "sounding": 128, "family": 11, "source": 3, "qualities": 10}
    logits = {name: torch.zeros(len(velocity), size) for name, size in sizes.items()}
    embedding = torch.zeros(len(velocity), 96)
    return ListenerOutput(velocity=velocity, pitched=pitched, embedding=embedding, **logits)


def test_temperatures_undo_overconfidence():
    """Of logits that are T times too large, the best temperature is T."""
    right = torch.arange(100) < 70
    velocity, pitched = torch.zeros(100, 5), torch.zeros(100)
    velocity[:, 0] = 2.0 * math.log(0.7 / (0.3 / 4))  # 70 % of class 0, 7.5 % of each other
    pitched[:] = 3.0 * math.log(0.7 / 0.3)
    labels = make_labels(
        100,
        velocity=torch.where(right, 0, 1 + torch.arange(100) % 4),
        pitched=right.float(),
    )
    temperatures = calibrate.fit_temperatures([(output_of(velocity, pitched), labels)])
    step = float(calibrate.TEMPERATURES[1] / calibrate.TEMPERATURES[0])
    assert temperatures["velocity"] == pytest.approx(2, rel=step - 1)
    assert temperatures["pitched"] == pytest.approx(3, rel=step - 1)
    assert temperatures["key"] == 1  # no label is known


def test_the_shift_of_pitched_replaces_one_prior_by_the_other():
    """By Bayes' rule: odds in use = odds in training · (0.995 / 0.005) / (0.8 / 0.2)."""
    odds = math.exp(calibrate.pitched_shift(0.2))
    assert odds == pytest.approx((0.995 / 0.005) / (0.8 / 0.2))


def test_the_shift_of_families_goes_half_way_to_those_of_nsynth(notes):
    families = notes.labels(lambda store: store.family)
    counts = np.bincount(families[families != UNKNOWN], minlength=len(FAMILIES))
    weighted = np.maximum(np.sqrt(counts) * counts.sum() / np.sqrt(counts).sum(), 1)
    use = np.array(calibrate.NSYNTH_NOTES)
    expected = 0.5 * (np.log(use / use.sum()) - np.log(weighted / weighted.sum()))
    np.testing.assert_allclose(calibrate.family_shift(notes).numpy(), expected, atol=1e-5)


def test_mean_embeddings_are_means_of_unit_length(notes):
    """With an embedding of the peak alone, each instrument has the direction of its first notes."""
    labeller = Labeller(notes.stores)

    def predict(audio):
        peak = audio.abs().amax(dim=1)
        angle = torch.stack([peak.cos(), peak.sin()], dim=1)
        return output_of(torch.zeros(len(audio), 5), peak)._replace(embedding=angle)

    means = calibrate.mean_embeddings(predict, notes, labeller)
    assert means.shape == (len(labeller.instruments), 2)
    numbers = labeller.label(notes).instrument.numpy()
    peaks = np.abs(notes.read_audio() / 32767).max(axis=1)
    for number in np.unique(numbers):
        few = peaks[numbers == number][: calibrate.INSTRUMENT_NOTES]
        mean = np.array([np.cos(few).mean(), np.sin(few).mean()])
        np.testing.assert_allclose(means[number], mean / np.linalg.norm(mean), atol=1e-4)
