"""The contenders of the inputs benchmark: their inputs, sizes, learning rate, log."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inputs import (
    CONTENDERS,
    LEARNING_RATE,
    Contender,
    Log,
    PitchMap,
    Spectrum,
    learning_rate,
    normalise,
    predict,
    train,
)
from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.frontend import FIRST_BIN_MIDI, SAMPLE_RATE, SAMPLES
from mechanical_ears.sound import Sound
from mechanical_ears.training.feed import StoredNotes


def test_spectrum_of_a_sine_peaks_at_its_frequency_at_any_gain():
    audio = torch.from_numpy(np.stack([Sound.sine(440.0).samples, Sound.sine(55.25).samples]))
    levels = Spectrum()(audio * torch.tensor([[1.0], [0.01]]))
    assert levels.shape == (2, 1, 32_000)
    assert levels.argmax(dim=2).flatten().tolist() == [440 * 4, 221]  # of bins a quarter Hz apart
    assert levels.amax(dim=2).flatten().tolist() == [1.0, 1.0]
    np.testing.assert_allclose(levels, Spectrum()(audio), atol=1e-3)
    assert not Spectrum()(torch.zeros(1, SAMPLES)).isnan().any()


def test_pitch_map_of_a_sine_peaks_at_its_key():
    levels = PitchMap()(torch.from_numpy(Sound.sine(440.0).samples[None]))
    assert levels.shape == (1, 24, 300)
    assert int(levels.mean(dim=1).argmax()) == 3 * (69 - FIRST_BIN_MIDI)


def test_contenders_are_of_one_size_and_predict_128_keys():
    sizes = []
    for contender in CONTENDERS:
        network = contender.network().eval()
        sizes.append(sum(weights.numel() for weights in network.parameters()))
        logits = predict(network, np.stack([Sound.sine(440.0).samples] * 2))
        assert logits.shape == (2, 128)
        np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)
    assert max(sizes) <= 1.2 * min(sizes)


def test_rate_rises_to_its_peak_and_falls_to_nothing():
    assert learning_rate(0) == 0
    assert learning_rate(0.05) == pytest.approx(LEARNING_RATE, rel=0.01)
    assert learning_rate(0.5) == pytest.approx(LEARNING_RATE / 2)
    assert learning_rate(1) == pytest.approx(0, abs=1e-9)
    assert learning_rate(1.1) == pytest.approx(0, abs=1e-9)


def test_normalised_notes_peak_at_one_and_silence_stays():
    audio = torch.tensor([[0.1, -0.25, 0.0], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.4, -1.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(normalise(audio), expected)


@pytest.mark.slow
def test_training_stops_after_its_seconds_and_is_found_in_the_log(tmp_path):
    build_store(Toy(24, instruments=2), tmp_path / "toy", split=None)
    notes = StoredNotes.from_stores([Store(tmp_path / "toy")], "train", SAMPLE_RATE, SAMPLES)
    contender: Contender = CONTENDERS[2]
    network = contender.network()
    result = train(network, notes, 0.3)
    assert 0.3 <= result["cpu_seconds_spent"] < 3
    assert result["heard"] % len(notes) == 0  # a batch is the whole store

    log, settings = Log(tmp_path / "log"), {"contender": "over-time", "cpu_seconds": 0.3}
    assert log.find(settings) is None
    log.add(settings, network, result)
    assert log.find(settings)["heard"] == result["heard"]
    assert log.find({**settings, "cpu_seconds": 0.4}) is None
