"""The imagination trained by two processes of torchrun, killed, and gone on with."""

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
LONGEST = 240  # s that a slow machine may need


def started(folder, rounds):
    build = [
        SCRIPTS / "torchrun", "--nproc-per-node", "2", "--standalone", SCRIPTS / "ears",
        "train", "imagination", "--corpora", folder / "maps", "-o", folder / "run",
        "--rounds", rounds, "--round-steps", "1", "--instruments", "4", "--critics", "map",
        "--accelerator", "cpu",
    ]  # fmt: skip
    return subprocess.Popen(
        [str(part) for part in build],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rounds_of(folder):
    log = folder / "run" / "log.jsonl"
    return (
        [json.loads(line)["epoch"] for line in log.read_text().splitlines()] if log.exists() else []
    )


def test_two_processes_killed_and_gone_on_with(tmp_path):
    build_store(Toy(40, instruments=8), tmp_path / "store", split=(0.6, 0.2, 0.2))
    build_control_maps(Store(tmp_path / "store"), tmp_path / "maps", workers=1)
    training = started(tmp_path, 10_000)
    latest = time.monotonic() + LONGEST
    while len(rounds_of(tmp_path)) < 2:
        assert training.poll() is None, training.stdout.read()
        assert time.monotonic() < latest, "no round was done"
        time.sleep(0.2)
    workers = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
    for process in (training.pid, *map(int, workers)):
        os.kill(process, signal.SIGKILL)
    training.wait()
    done = len(rounds_of(tmp_path))
    again = started(tmp_path, done + 1)
    told, _ = again.communicate(timeout=LONGEST)
    assert again.returncode == 0, told
    assert f"round {done + 1}" in told
    assert rounds_of(tmp_path) == list(range(1, done + 2))
    assert Model(tmp_path / "run").instruments
