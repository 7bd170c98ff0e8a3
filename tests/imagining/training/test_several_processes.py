"""Training of the imagination by two processes of torchrun, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("pyarrow")

from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.imagining.model import Model
from mechanical_ears.resynthesis.control_map_corpus import build_control_maps

SCRIPTS = Path(sys.executable).parent
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds torchrun's workers under /proc"
)
MAX_SECONDS = 240  # on a slow machine


def start(folder, rounds):
    command = [
        SCRIPTS / "torchrun", "--nproc-per-node", "2", "--standalone", SCRIPTS / "ears",
        "train", "imagination", "--corpora", folder / "maps", "-o", folder / "run",
        "--rounds", rounds, "--round-steps", "1", "--instruments", "4", "--critics", "latent",
        "--accelerator", "cpu",
    ]  # fmt: skip
    return subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def logged_rounds(folder):
    log = folder / "run" / "log.jsonl"
    return (
        [json.loads(line)["epoch"] for line in log.read_text().splitlines()] if log.exists() else []
    )


def test_two_processes_killed_and_resumed(tmp_path):
    build_store(Toy(40, instruments=8), tmp_path / "store", split=(0.6, 0.2, 0.2))
    build_control_maps(Store(tmp_path / "store"), tmp_path / "maps", workers=1)
    training = start(tmp_path, 10_000)
    deadline = time.monotonic() + MAX_SECONDS
    while len(logged_rounds(tmp_path)) < 2:
        assert training.poll() is None, training.stdout.read()
        assert time.monotonic() < deadline, "no round was done"
        time.sleep(0.2)
    workers = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
    for process in (training.pid, *map(int, workers)):
        os.kill(process, signal.SIGKILL)
    training.wait()
    done = len(logged_rounds(tmp_path))
    resumed = start(tmp_path, done + 1)
    output, _ = resumed.communicate(timeout=MAX_SECONDS)
    assert resumed.returncode == 0, output
    assert f"round {done + 1}" in output
    assert logged_rounds(tmp_path) == list(range(1, done + 2))
    assert Model(tmp_path / "run").instruments
