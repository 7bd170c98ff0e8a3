"""The server as people start it, and what tests ask of a page."""

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

POINTS = 250  # instruments of the map: a small one is laid out quickly
PATIENCE = 240  # s until the server must answer, on slow cores
QUIET = 0.002  # root mean square, below which nothing sounds
AUDIBLE = 0.004


@dataclass
class Server:
    """`ears explore` on a free port, with data of its own."""

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
        end = time.monotonic() + PATIENCE
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
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self._log.read_text()


@dataclass
class Watch:
    """What a page must never do: err in the console, ask another machine."""

    host: str
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # parts of errors that a test provokes

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def request(self, request: Request) -> None:
        if not request.url.startswith(f"http://{self.host}/"):
            self.strangers.append(request.url)

    @property
    def unexpected(self) -> list[str]:
        return [e for e in self.errors if not any(words in e for words in self.expected)]


def started(page: Page) -> None:
    """Wait until the map is there, and an instrument in hand."""
    page.wait_for_selector("#wait", state="hidden", timeout=60_000)
    page.wait_for_selector("#about svg", state="attached")


def until(page: Page, script: str, seconds: float = 20.0) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's own way."""
    end = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(50)


def place(page: Page, instrument: int) -> tuple[float, float]:
    """Where an instrument of the map is on the screen, px."""
    x, y = page.evaluate(
        """(i) => {
          const box = document.getElementById("map").getBoundingClientRect();
          const [x, y] = mechanicalEars.map.field.at(i);
          return [x + box.left, y + box.top];
        }""",
        instrument,
    )
    return x, y


def in_hand(page: Page) -> tuple[float, float]:
    """Where the instrument in hand is on the screen, px."""
    x, y = page.evaluate(
        """() => {
          const box = document.getElementById("map").getBoundingClientRect();
          const { view, scene } = mechanicalEars.map;
          const [x, y] = view.toScreen(scene.current.x, scene.current.y);
          return [x + box.left, y + box.top];
        }"""
    )
    return x, y


def step(page: Page) -> dict:
    """The step in hand: base, turn, instrument."""
    return page.evaluate("mechanicalEars.session.step")


def open_recipe(page: Page, **recipe: object) -> str:
    """Open an instrument and wait for it; its name."""
    page.evaluate("(recipe) => mechanicalEars.session.open(recipe)", recipe)
    settle(page)
    return page.inner_text("#name")


def settle(page: Page) -> None:
    """Wait until nothing more is asked for, and all notes are off."""
    until(page, "!document.getElementById('name').hasAttribute('data-busy')")
    page.evaluate("mechanicalEars.audition.stop(), mechanicalEars.voices.silence()")


def loaded(page: Page, pitch: int, velocity: int) -> None:
    """Wait until the exact note of the instrument in hand is there."""
    page.evaluate(
        "([p, v]) => mechanicalEars.notes.want(mechanicalEars.session.instrument.id, p, v, true)",
        [pitch, velocity],
    )
    there = f"mechanicalEars.notes.get(mechanicalEars.session.instrument.id, {pitch}, {velocity})"
    until(page, f"Boolean({there})")


def wake(page: Page) -> None:
    """Turn the sound on as a person does."""
    if page.is_visible("#sound"):
        page.click("#sound")
    page.wait_for_selector("#sound", state="hidden")


def samples(page: Page) -> tuple[NDArray[np.float64], float]:
    """What goes to the loudspeakers now: the analyser's last 8192 samples, and their rate, Hz."""
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


def level(page: Page) -> float:
    """Root mean square of what sounds now."""
    return page.evaluate(
        """() => {
          const { analyser } = mechanicalEars.engine;
          if (!analyser) return 0;
          const audio = new Float32Array(analyser.fftSize);
          analyser.getFloatTimeDomainData(audio);
          return Math.sqrt(audio.reduce((sum, sample) => sum + sample * sample, 0) / audio.length);
        }"""
    )


def calm(page: Page) -> None:
    """As if nobody had touched the page, but for what is in hand and kept."""
    page.mouse.move(2, 2)
    page.evaluate(
        """() => {
          const { audition, player, voices, map } = mechanicalEars;
          audition.stop();
          player.releaseAll();
          voices.sustained = false;
          voices.silence();
          map.setRecording(null);
          document.activeElement.blur();
          document.getElementById("notices").replaceChildren();
          document.getElementById("tab-walk").click();
        }"""
    )


def sounds(page: Page, seconds: float = 10.0) -> None:
    """Wait until something is heard."""
    end = time.monotonic() + seconds
    while level(page) < AUDIBLE:
        assert time.monotonic() < end, "nothing sounds"
        page.wait_for_timeout(30)


def falls_silent(page: Page, seconds: float = 10.0) -> None:
    """Wait until nothing is heard."""
    end = time.monotonic() + seconds
    while level(page) > QUIET:
        assert time.monotonic() < end, "it goes on sounding"
        page.wait_for_timeout(30)


def frequency(page: Page, lowest: float = 60.0, highest: float = 2000.0) -> float:
    """Fundamental of what sounds now, Hz, by the first high peak of the autocorrelation."""
    audio, rate = samples(page)
    audio = audio - audio.mean()
    length = len(audio)
    power = np.abs(np.fft.rfft(audio, 2 * length)) ** 2
    alike = np.fft.irfft(power)[:length] / np.arange(length, 0, -1)
    lags = np.arange(int(rate / highest), int(rate / lowest))
    peaks = lags[(alike[lags] > alike[lags - 1]) & (alike[lags] >= alike[lags + 1])]
    best = alike[peaks].max()
    lag = next(k for k in peaks if alike[k] > 0.9 * best)
    before, at, after = alike[lag - 1 : lag + 2]
    return float(rate / (lag + 0.5 * (before - after) / (before - 2 * at + after)))


def keep(page: Page) -> None:
    """Make the instrument in hand a favourite."""
    page.click("#keep")
    until(page, "document.querySelector('#keep').getAttribute('aria-pressed') === 'true'")
