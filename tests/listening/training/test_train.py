"""Training of the listener by its real command, on the toy corpus; the ears then use it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mechanical_ears.corpus.store import build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.ears import Ears
from mechanical_ears.note import FAMILIES
from mechanical_ears.sound import Sound


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two rounds, in two calls."""
    folder = tmp_path_factory.mktemp("listener")
    build_store(Toy(160, instruments=12), folder / "toy", split=(0.7, 0.15, 0.15))
    command = [
        sys.executable, "-m", "mechanical_ears.cli", "train", "listener",
        "--corpora", folder / "toy", "-o", folder / "run", "--batch-size", "32",
        "--epoch-notes", "96",
    ]  # fmt: skip
    for epochs in ("1", "2"):
        done = subprocess.run(
            [*map(str, command), "--epochs", epochs], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder / "run"


def test_the_run_is_resumed(run):
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2]
    assert log[1]["loss"] < log[0]["loss"], "it learns"
    assert 0 <= log[1]["validation_family"] <= 1


def test_the_ears_load_the_trained_network(run):
    ears = Ears(run / "model.onnx")
    assert len(ears.instruments) == 12
    tone, silence = ears.listen(
        [Sound.sine(440, 1, 44_100), Sound(np.zeros(16_000, np.float32), 16_000)]
    )
    assert tone.family in FAMILIES
    assert tone.duration == 1.0
    assert len(tone.nearest) == 3
    assert silence.pitch is None
    assert silence.pitch_confidence == 0
