"""A server in a process of its own, started by `ears explore`."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import httpx
import numpy as np

PATIENCE = 60  # s


class RunningServer:
    """Started on entering, ended by Ctrl-C on leaving.

    Args:
        data: folder of favourites.
        options: of the command.
    """

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.options = options

    def __enter__(self) -> RunningServer:
        command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--port", "0"]
        command += ["--no-browser", "--data", str(self.data), *self.options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.told = self.process.stdout.readline()
        if not self.told.startswith("explore at http://"):
            raise AssertionError(self.told + self.process.communicate(timeout=PATIENCE)[1])
        self.address = self.told.split()[2]
        base = self.address.partition("?")[0].replace("0.0.0.0", "127.0.0.1")
        self.client = httpx.Client(base_url=base, timeout=PATIENCE)
        return self

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.errors = self.process.communicate(timeout=PATIENCE)[1]
        finally:
            self.process.kill()

    @property
    def children(self) -> list[int]:
        """Processes that it has started."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted({int(pid) for text in [found, *map(_text, threads)] for pid in text.split()})

    def open(self, **recipe: object) -> dict:
        """Open an instrument."""
        answer = self.client.post("/api/instruments", json=recipe)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def note(self, name: str, pitch: int = 60, velocity: int = 100) -> np.ndarray:
        """A note, int16 (samples,)."""
        answer = self.client.get(f"/api/instruments/{name}/notes/{pitch}/{velocity}")
        assert answer.status_code == 200, answer.text
        return samples_of(answer.content)

    def exported(self, **wish: object) -> str:
        """Export, and wait; the id of the job."""
        answer = self.client.post("/api/exports", json=wish)
        assert answer.status_code == 202, answer.text
        job = answer.json()["job"]
        until(lambda: self.state(job)["state"] not in ("waiting", "running"))
        return job

    def state(self, job: str) -> dict:
        """Of an export."""
        return self.client.get(f"/api/exports/{job}").json()


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def samples_of(wav: bytes) -> np.ndarray:
    """The samples of a WAV file of 16 bits, mono, 48 kHz."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def until(condition, seconds: float = PATIENCE) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in _text(Path(f"/proc/{pid}/status"))
