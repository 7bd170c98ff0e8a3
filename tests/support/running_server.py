"""A server in another process, started by `ears explore`."""

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

TIMEOUT = 60  # s


class RunningServer:
    """Starts when the block is entered, and is stopped by Ctrl-C at its end.

    Args:
        data: folder of favourites and caches.
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
        self.first_line = self.process.stdout.readline()
        if not self.first_line.startswith("explore at http://"):
            raise AssertionError(self.first_line + self.process.communicate(timeout=TIMEOUT)[1])
        self.address = self.first_line.split()[2]
        base = self.address.partition("?")[0].replace("0.0.0.0", "127.0.0.1")
        self.client = httpx.Client(base_url=base, timeout=TIMEOUT)
        return self

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.errors = self.process.communicate(timeout=TIMEOUT)[1]
        finally:
            self.process.kill()

    @property
    def children(self) -> list[int]:
        """Ids of the processes that it has started."""
        main = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted(
            {int(pid) for text in [main, *map(_read_text, threads)] for pid in text.split()}
        )

    def open(self, **recipe: object) -> dict:
        """Open the instrument of a recipe."""
        response = self.client.post("/api/instruments", json=recipe)
        assert response.status_code == 200, response.text
        return response.json()

    def note(self, id: str, pitch: int = 60, velocity: int = 100) -> np.ndarray:
        """A note, int16 (samples,)."""
        response = self.client.get(f"/api/instruments/{id}/notes/{pitch}/{velocity}")
        assert response.status_code == 200, response.text
        return read_wav(response.content)

    def export(self, **options: object) -> str:
        """Export, wait until it has ended, and return its id."""
        response = self.client.post("/api/exports", json=options)
        assert response.status_code == 202, response.text
        job = response.json()["job"]
        wait_until(lambda: self.export_status(job)["state"] not in ("waiting", "running"))
        return job

    def export_status(self, job: str) -> dict:
        """State of an export."""
        return self.client.get(f"/api/exports/{job}").json()


def _read_text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def read_wav(wav: bytes) -> np.ndarray:
    """The samples of a WAV file, 16 bit, mono, 48 kHz."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def wait_until(condition, seconds: float = TIMEOUT) -> None:
    """Wait until a function returns true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in _read_text(Path(f"/proc/{pid}/status"))
