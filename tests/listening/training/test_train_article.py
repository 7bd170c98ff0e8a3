"""Training of the article's network by its real command, on the toy corpus."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.article_ears import ArticleEars


@pytest.fixture(scope="module")
def toy_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "toy"
    build_store(Toy(200, instruments=12), path, split=(0.7, 0.15, 0.15))
    return path


def command(store, run, *more):
    return [
        sys.executable, "-m", "mechanical_ears.cli", "train", "article",
        "--corpus", str(store), "-o", str(run), "--batch-size", "32",
        "--learning-rate", "3e-3", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def straight_run(toy_store, tmp_path_factory):
    """Three epochs in one go."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    done = subprocess.run(
        command(toy_store, run, "--epochs", "3"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "on unseen instruments" in done.stdout
    return run


def test_the_run_folder_holds_configuration_log_chart_and_model(straight_run, toy_store):
    config = json.loads((straight_run / "config.json").read_text())
    assert (config["batch_size"], config["learning_rate"], config["seed"]) == (32, 3e-3, 0)
    log = [json.loads(line) for line in (straight_run / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3]
    assert log[2]["loss"] < log[0]["loss"], "it learns"
    assert (straight_run / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    ears = ArticleEars(straight_run / "model.onnx")
    assert ears.about["trained_on"] == "toy"
    assert ears.about["epoch"] == "3"
    audio = Store(toy_store).note(0).sound.samples[None]
    np.testing.assert_allclose(ears.probabilities(audio).sum(), 1, rtol=1e-5)


def test_killed_and_resumed_it_gives_the_same_weights(straight_run, toy_store, tmp_path):
    run = tmp_path / "killed"
    process = subprocess.Popen(
        command(toy_store, run, "--epochs", "1000"), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (run / "checkpoint-0002.safetensors").exists():
        assert process.poll() is None, "it trains until it is killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for later in run.glob("checkpoint-000[3-9].safetensors"):
        later.unlink()  # the kill came late: resume from where the straight run can be met
    assert (run / "checkpoint-0002.safetensors").exists()
    done = subprocess.run(
        command(toy_store, run, "--epochs", "3"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    resumed = load_file(run / "checkpoint-0003.safetensors")
    straight = load_file(straight_run / "checkpoint-0003.safetensors")
    assert resumed.keys() == straight.keys()
    for key, value in straight.items():
        torch.testing.assert_close(resumed[key], value, rtol=1e-5, atol=1e-7)
    assert [json.loads(line)["epoch"] for line in (run / "log.jsonl").open()] == [1, 2, 3]


def test_ctrl_c_says_how_to_resume(toy_store, tmp_path):
    run = tmp_path / "stopped"
    process = subprocess.Popen(
        command(toy_store, run, "--epochs", "1000"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's
    )
    while not (run / "checkpoint-0001.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr


def test_a_finished_run_is_not_trained_further(straight_run, toy_store):
    before = (straight_run / "log.jsonl").read_text()
    done = subprocess.run(
        command(toy_store, straight_run, "--epochs", "3"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (straight_run / "log.jsonl").read_text() == before


def test_another_configuration_is_refused(straight_run, toy_store):
    done = subprocess.run(
        command(toy_store, straight_run, "--seed", "7"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "seed 0 there, 7 here" in done.stderr.splitlines()[-1]
