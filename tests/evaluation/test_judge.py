"""The evaluation network: its front end, and training, saving and loading it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mechanical_ears.corpus.filenames import labels_from_name
from mechanical_ears.corpus.store import build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.errors import EarsError
from mechanical_ears.evaluation.judge import (
    BANDS,
    BANDS_PER_OCTAVE,
    FRAMES,
    LOWEST_MIDI,
    EvaluationNetwork,
    Judge,
    JudgeFrontEnd,
)
from mechanical_ears.listening.training.calibrate import CALIBRATED, PITCHED
from mechanical_ears.note import FAMILIES
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound
from support.paths import EXAMPLES

pytestmark = pytest.mark.slow


def tone(midi):
    return torch.sin(torch.arange(64_000) * (2 * np.pi * midi_to_hz(midi) / 16_000))[None]


@pytest.mark.parametrize("midi", [45, 69, 96])
def test_the_spectrogram_of_a_tone_peaks_at_its_band(midi):
    (spectrogram,) = JudgeFrontEnd()(tone(midi))
    assert spectrogram.shape == (1, FRAMES, BANDS)
    assert spectrogram[0, 3].argmax() == (midi - LOWEST_MIDI) * BANDS_PER_OCTAVE / 12
    assert spectrogram.max() == 1


def test_gain_changes_nothing_and_silence_is_all_zero():
    front_end = JudgeFrontEnd()
    assert torch.allclose(front_end(tone(60))[0], front_end(0.01 * tone(60))[0], atol=1e-4)
    assert front_end(torch.zeros(1, 64_000))[0].abs().max() < 1e-6


def test_trained_saved_and_loaded(tmp_path):
    build_store(Toy(120, instruments=12), tmp_path / "toy", split=(0.7, 0.15, 0.15))
    command = [
        sys.executable, "-m", "mechanical_ears.cli", "train", "judge", "--corpora",
        tmp_path / "toy", "-o", tmp_path / "run", "--epochs", "1", "--epoch-notes", "64",
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    judge = EvaluationNetwork.load(tmp_path / "run" / "judge.safetensors")
    output = judge.predict(tone(60))
    assert output.family.shape == (1, len(FAMILIES))
    assert torch.isfinite(output.key).all()
    assert set(judge.temperatures) == {*CALIBRATED, PITCHED}
    assert judge.about["network"] == "judge"
    assert judge.about["licence"] == "CC0-1.0"


def test_the_shipped_network_predicts_the_keys_of_the_examples():
    files = sorted(EXAMPLES.glob("*.flac"))
    audio = np.stack([Sound.load(file).samples for file in files])
    output = EvaluationNetwork.load().predict(torch.from_numpy(audio))
    named = torch.tensor([labels_from_name(file.stem).pitch for file in files])
    assert int((output.key.argmax(dim=1) == named).sum()) >= 20
    torch.testing.assert_close(output.embedding.norm(dim=1), torch.ones(len(files)))


def test_features_are_those_from_which_timbre_is_predicted():
    judge = Judge().eval()
    (spectrogram,) = JudgeFrontEnd()(torch.cat([tone(60), tone(72)]))
    output, features = judge.forward_with_features(spectrogram)
    assert features.shape == (2, 256)
    assert features.min() >= 0
    torch.testing.assert_close(output.family, judge.family(features))
    assert all(map(torch.equal, output, judge(spectrogram)))


def test_it_has_another_architecture_than_the_listener():
    names = {type(module).__name__ for module in Judge().modules()}
    assert "SemitoneBlock" not in names


def test_other_files_are_refused(tmp_path):
    (tmp_path / "none.safetensors").write_bytes(b"no weights")
    with pytest.raises(EarsError, match="evaluation network"):
        EvaluationNetwork.load(tmp_path / "none.safetensors")
