"""A running server, and helpers for tests of its page in a browser."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import ConsoleMessage, Page, Request

POINTS = 250  # instruments on the map; a small map is built quickly
START_SECONDS = 240  # s until the server must answer, on slow cores
SILENT_RMS = 0.002  # root mean square, below which nothing sounds
AUDIBLE_RMS = 0.004  # root mean square, above which something sounds


@dataclass
class Server:
    """`ears explore` on a free port, with its own data folder."""

    data: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--no-browser"]
        command += ["--port", str(self.port), "--data", str(self.data), "--points", str(POINTS)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, self._log.read_text()
            try:
                with urllib.request.urlopen(f"{self.url}/api/space", timeout=10) as answer:
                    answer.read()
                    return
            except OSError:
                time.sleep(0.2)
        pytest.fail(self._log.read_text())

    @property
    def _log(self) -> Path:
        return self.data / "server.log"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self._log.read_text()


@dataclass
class Watch:
    """Records errors in a page's console and its requests to other machines."""

    host: str
    errors: list[str] = field(default_factory=list)
    other_hosts: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # parts of errors that a test provokes

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def request(self, request: Request) -> None:
        if not request.url.startswith(f"http://{self.host}/"):
            self.other_hosts.append(request.url)

    @property
    def unexpected(self) -> list[str]:
        return [e for e in self.errors if not any(text in e for text in self.expected)]


def wait_for_start(page: Page) -> None:
    """Wait until the map is loaded and an instrument is selected."""
    page.wait_for_selector("#loading", state="hidden", timeout=60_000)
    page.wait_for_selector("#about svg", state="attached")


def wait_until(page: Page, script: str, seconds: float = 20.0) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's own function."""
    end = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(50)


def point_position(page: Page, instrument: int) -> tuple[float, float]:
    """Position of an instrument of the map on the screen, px."""
    x, y = page.evaluate(
        """(i) => {
          const box = document.getElementById("map").getBoundingClientRect();
          const [x, y] = mechanicalEars.map.index.position(i);
          return [x + box.left, y + box.top];
        }""",
        instrument,
    )
    return x, y


def selected_position(page: Page) -> tuple[float, float]:
    """Position of the selected instrument on the screen, px."""
    x, y = page.evaluate(
        """() => {
          const box = document.getElementById("map").getBoundingClientRect();
          const { view, scene } = mechanicalEars.map;
          const [x, y] = view.toScreen(scene.selected.x, scene.selected.y);
          return [x + box.left, y + box.top];
        }"""
    )
    return x, y


def current_step(page: Page) -> dict:
    """The session's current step: base, turn, instrument."""
    return page.evaluate("mechanicalEars.session.step")


def open_recipe(page: Page, **recipe: object) -> str:
    """Open an instrument, wait for it and return its name."""
    page.evaluate("(recipe) => mechanicalEars.session.open(recipe)", recipe)
    settle(page)
    return page.inner_text("#name")


def settle(page: Page) -> None:
    """Wait until no step is pending, and stop all notes."""
    wait_until(page, "!document.getElementById('name').hasAttribute('data-busy')")
    page.evaluate("mechanicalEars.preview.stop(), mechanicalEars.voices.silence()")


def load_note(page: Page, pitch: int, velocity: int) -> None:
    """Load a note of the selected instrument."""
    page.evaluate(
        """([pitch, velocity]) => {
          const { notes, session } = mechanicalEars;
          notes.request(session.instrument.id, pitch, velocity, true);
        }""",
        [pitch, velocity],
    )
    note = f"mechanicalEars.notes.get(mechanicalEars.session.instrument.id, {pitch}, {velocity})"
    wait_until(page, f"Boolean({note})")


def turn_on_sound(page: Page) -> None:
    """Turn on sound as a person does."""
    if page.is_visible("#turn-on-sound"):
        page.click("#turn-on-sound")
    page.wait_for_selector("#turn-on-sound", state="hidden")


def output_samples(page: Page) -> tuple[NDArray[np.float64], float]:
    """The last 8192 samples of the audio output, and their rate in Hz."""
    rate, *audio = page.evaluate(
        """() => {
          const { analyser, context } = mechanicalEars.engine;
          if (!analyser) return [48000, 0];
          const audio = new Float32Array(analyser.fftSize);
          analyser.getFloatTimeDomainData(audio);
          return [context.sampleRate, ...audio];
        }"""
    )
    return np.array(audio), rate


def output_level(page: Page) -> float:
    """Root mean square of the audio output."""
    return page.evaluate(
        """() => {
          const { analyser } = mechanicalEars.engine;
          if (!analyser) return 0;
          const audio = new Float32Array(analyser.fftSize);
          analyser.getFloatTimeDomainData(audio);
          return Math.sqrt(audio.reduce((sum, sample) => sum + sample * sample, 0) / audio.length);
        }"""
    )


def reset_page(page: Page) -> None:
    """Reset the page, except for the selected instrument and the favourites."""
    page.mouse.move(2, 2)
    page.evaluate(
        """() => {
          const { preview, player, voices, map } = mechanicalEars;
          preview.stop();
          player.releaseAll();
          voices.sustained = false;
          voices.silence();
          map.setRecording(null);
          document.activeElement.blur();
          document.getElementById("notices").replaceChildren();
          document.getElementById("tab-shape").click();
        }"""
    )


def wait_for_sound(page: Page, seconds: float = 10.0) -> None:
    """Wait until something sounds."""
    end = time.monotonic() + seconds
    while output_level(page) < AUDIBLE_RMS:
        assert time.monotonic() < end, "nothing sounds"
        page.wait_for_timeout(30)


def wait_for_silence(page: Page, seconds: float = 10.0) -> None:
    """Wait until nothing sounds."""
    end = time.monotonic() + seconds
    while output_level(page) > SILENT_RMS:
        assert time.monotonic() < end, "it does not stop sounding"
        page.wait_for_timeout(30)


def output_frequency(page: Page, lowest: float = 60.0, highest: float = 2000.0) -> float:
    """Fundamental of the audio output, Hz: the first high peak of the autocorrelation."""
    audio, rate = output_samples(page)
    audio = audio - audio.mean()
    length = len(audio)
    power = np.abs(np.fft.rfft(audio, 2 * length)) ** 2
    correlation = np.fft.irfft(power)[:length] / np.arange(length, 0, -1)
    lags = np.arange(int(rate / highest), int(rate / lowest))
    left, right = correlation[lags - 1], correlation[lags + 1]
    peaks = lags[(correlation[lags] > left) & (correlation[lags] >= right)]
    highest_peak = correlation[peaks].max()
    lag = next(k for k in peaks if correlation[k] > 0.9 * highest_peak)
    before, peak, after = correlation[lag - 1 : lag + 2]
    return float(rate / (lag + 0.5 * (before - after) / (before - 2 * peak + after)))


def add_favourite(page: Page) -> None:
    """Add the selected instrument to the favourites."""
    page.click("#favourite")
    wait_until(page, "document.querySelector('#favourite').getAttribute('aria-pressed') === 'true'")
