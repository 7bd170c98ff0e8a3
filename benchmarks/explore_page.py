"""The page of `ears explore`: screenshots for the documentation, and how fast it responds.

    python benchmarks/explore_page.py [--pictures-only]

Starts the server with an empty data folder, opens the page in Chromium without a graphics card, and

- takes docs/pictures/explore-{wide,dark,narrow}.png,
- measures the time from entering the address to the first sound: a key is pressed as soon as an
  instrument is selected,
- the time from a key to its sound, when its note is loaded. Chromium without an audio device needs
  most of that itself: a constant source on a blank page is measured as the lower limit,
- the frames of the map with 10,000 points, while it is zoomed and dragged without a pause.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from harness import ROOT, markdown_table, write_section

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox"]
PICTURES = ROOT / "docs" / "pictures"
STARTS = 5  # measurements of a start
KEYS = 20  # measurements of a key
FRAMES = 150  # measured for each gesture
POINTS = 10_000
PICTURE_SEED = 11  # of the page's random choices, in the pictures

SEEDED = f"""
let state = {PICTURE_SEED};
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;
"""

FIRST_SOUND = """
async () => {
  const isSounding = () => {
    const { analyser } = globalThis.mechanicalEars?.engine ?? {};
    if (!analyser) return false;
    const audio = new Float32Array(1024);
    analyser.getFloatTimeDomainData(audio);
    return audio.some((sample) => Math.abs(sample) > 1e-3);
  };
  while (!isSounding()) await new Promise((resolve) => setTimeout(resolve, 2));
  return performance.now();  // ms since the address was entered
}
"""

KEY_TO_SOUND = """
async (keys) => {
  const { engine, voices } = mechanicalEars;
  const audio = new Float32Array(256);
  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const handled = [], audible = [];
  for (let i = 0; i < keys; i++) {
    const start = performance.now();
    dispatchEvent(new KeyboardEvent("keydown", { code: "KeyQ" }));
    handled.push(performance.now() - start);
    for (;;) {
      engine.analyser.getFloatTimeDomainData(audio);
      if (audio.some((sample) => Math.abs(sample) > 1e-4)) break;
      await rest(0);
    }
    audible.push(performance.now() - start);
    dispatchEvent(new KeyboardEvent("keyup", { code: "KeyQ" }));
    voices.silence();
    await rest(600);
  }
  return { handled, audible, latency: 1000 * engine.latency };
}
"""

MINIMUM = """
async (keys) => {
  const context = new AudioContext({ latencyHint: "interactive" });
  await context.resume();
  const analyser = new AnalyserNode(context, { fftSize: 8192 });
  analyser.connect(context.destination);
  const audio = new Float32Array(256);
  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  await rest(1000);
  const audible = [];
  for (let i = 0; i < keys; i++) {
    const source = new ConstantSourceNode(context);
    source.connect(analyser);
    const start = performance.now();
    source.start();
    for (;;) {
      analyser.getFloatTimeDomainData(audio);
      if (audio.some((sample) => Math.abs(sample) > 1e-4)) break;
      await rest(0);
    }
    audible.push(performance.now() - start);
    source.stop();
    source.disconnect();
    await rest(300);
  }
  return audible;
}
"""

MANY_POINTS = """
(points) => {
  const { map, space } = mechanicalEars;
  const from = [...Array(points).keys()].map((i) => i % space.id.length);
  const near = (value) => value + 0.06 * (Math.random() - 0.5);
  map.setSpace({
    id: from.map((_, i) => `p${i}`), name: from.map((f) => space.name[f]),
    x: from.map((f) => near(space.x[f])), y: from.map((f) => near(space.y[f])),
    family: from.map((f) => space.family[f]), kind: from.map((f) => space.kind[f]),
    novelty: from.map((f) => space.novelty[f]),
  });
}
"""

FRAMES_SCRIPT = """
async ([gesture, count]) => {
  const { map } = mechanicalEars;
  const { view } = map;
  const frames = [], work = [];
  let last = performance.now();
  for (let i = 0; i < count; i++) {
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
    const start = performance.now();
    if (gesture === "zooming") view.zoomAt(i < count / 2 ? 1.04 : 1 / 1.04, 400, 250);
    else view.pan(i % 40 < 20 ? 12 : -12, 5 * Math.sin(i / 5));
    map.drawNow();
    work.push(performance.now() - start);
  }
  view.zoom = 1;
  view.centre(0, 0);
  map.draw();
  return { frames: frames.slice(5), work: work.slice(5) };
}
"""


@contextmanager
def server() -> Iterator[str]:
    """Run a server and yield its address."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--no-browser"]
        process = subprocess.Popen(
            [*command, "--port", "0", "--data", data],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"http://\S+", line):
                    yield found.group().rstrip("/")
                    break
        finally:
            process.terminate()
            process.wait(30)


def wait_for_start(page: Page) -> None:
    """Wait until an instrument is selected."""
    page.wait_for_selector("#loading", state="hidden", timeout=120_000)
    page.wait_for_selector("#about svg", state="attached")


def wait_until(page: Page, script: str) -> None:
    """Wait until an expression is true."""
    while not page.evaluate(script):
        page.wait_for_timeout(20)


def summarise(values: list[float]) -> str:
    """Median and 95th percentile, ms."""
    return f"{statistics.median(values):.0f} ({statistics.quantiles(values, n=20)[18]:.0f})"


def measure_first_sound(browser: Browser, url: str) -> list[float]:
    """Times from entering the address to the first sound, ms."""
    times = []
    for _ in range(STARTS):
        page = browser.new_page()
        page.goto(url)
        wait_for_start(page)
        page.keyboard.down("KeyQ")
        times.append(page.evaluate(FIRST_SOUND))
        page.close()
    return times


def measure_keys(browser: Browser, url: str) -> dict[str, Any]:
    """Times from a key: until handled, until audible, and the lower limit, ms."""
    page = browser.new_page()
    page.goto(url)
    wait_for_start(page)
    page.click("#turn-on-sound")
    page.evaluate("mechanicalEars.session.open({ seed: 8, family: 'bass' })")
    wait_until(page, "mechanicalEars.session.instrument.name === 'bass-8'")
    for velocity in (80, 120):
        note = f"mechanicalEars.notes.get(mechanicalEars.session.instrument.id, 60, {velocity})"
        page.evaluate(
            """(velocity) => {
              const { notes, session } = mechanicalEars;
              notes.request(session.instrument.id, 60, velocity, true);
            }""",
            velocity,
        )
        wait_until(page, f"Boolean({note})")
    page.wait_for_timeout(3000)
    times: dict[str, Any] = page.evaluate(KEY_TO_SOUND, KEYS)
    page.close()
    blank = browser.new_page()
    blank.goto(f"{url}/static/icon.svg")
    times["minimum"] = blank.evaluate(MINIMUM, KEYS)
    blank.close()
    return times


def measure_frames(browser: Browser, url: str) -> dict[str, dict[str, list[float]]]:
    """Frame times of the map with many points, ms, by gesture."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    wait_for_start(page)
    page.wait_for_timeout(3000)
    page.evaluate(MANY_POINTS, POINTS)
    times = {
        gesture: page.evaluate(FRAMES_SCRIPT, [gesture, FRAMES])
        for gesture in ("dragging", "zooming")
    }
    page.close()
    return times


def explore(page: Page, keys: list[str]) -> None:
    """Select and morph some instruments, and hold a chord."""
    page.click("#turn-on-sound")
    positions: list[list[float]] = page.evaluate(
        """() => {
          const box = document.getElementById("map").getBoundingClientRect();
          const { index } = mechanicalEars.map;
          const inside = ([x, y]) => x > 60 && y > 60 && x < box.width - 80 && y < box.height - 80;
          const all = [...Array(index.count).keys()].map((i) => index.position(i)).filter(inside);
          const pick = (share) => all[Math.floor(share * all.length)];
          return [0.05, 0.42, 0.71].map(pick).map(([x, y]) => [x + box.left, y + box.top]);
        }"""
    )
    for x, y in positions[:2]:
        page.mouse.click(x, y)
        page.wait_for_timeout(1500)
    x, y = positions[2]
    selected = page.evaluate(
        """() => {
          const box = document.getElementById("map").getBoundingClientRect();
          const { view, scene } = mechanicalEars.map;
          const [x, y] = view.toScreen(scene.selected.x, scene.selected.y);
          return [x + box.left, y + box.top];
        }"""
    )
    page.mouse.move(*selected)
    page.mouse.down()
    page.mouse.move(x, y, steps=6)
    page.mouse.up()
    page.wait_for_timeout(2500)
    page.mouse.move(2, 400)
    for key in keys:
        page.keyboard.down(key)
        page.wait_for_timeout(450)
    page.wait_for_timeout(700)


def take_pictures(browser: Browser, url: str) -> None:
    """Take the screenshots: wide, dark, and on a phone."""
    for name, scheme in (("wide", "light"), ("dark", "dark")):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.add_init_script(SEEDED)
        page.goto(url)
        wait_for_start(page)
        explore(page, ["KeyQ", "KeyE", "KeyT"])
        if name == "dark":
            page.click("#tab-analysis")
            page.wait_for_selector(".card table")
            page.wait_for_timeout(1500)
        page.screenshot(path=PICTURES / f"explore-{name}.png")
        context.close()
    phone = browser.new_context(
        viewport={"width": 390, "height": 844},
        color_scheme="dark",
        device_scale_factor=2,
        has_touch=True,
        is_mobile=True,
    )
    page = phone.new_page()
    page.add_init_script(SEEDED)
    page.goto(url)
    wait_for_start(page)
    page.locator("#turn-on-sound").tap()
    page.wait_for_timeout(2500)
    page.keyboard.down("KeyX")
    page.keyboard.down("KeyV")
    page.wait_for_timeout(1500)
    page.screenshot(path=PICTURES / "explore-narrow.png")
    phone.close()
    for name in ("wide", "dark", "narrow"):
        path = PICTURES / f"explore-{name}.png"
        with Image.open(path) as picture:
            picture.convert("RGB").save(path, optimize=True)


def report(starts: list[float], keys: dict[str, Any], frames: dict[str, Any], version: str) -> None:
    """Write the section of the documentation."""
    rows = [
        ["from entering the address to the first sound of a key", summarise(starts)],
        [
            "a key's handler, until its note is scheduled",
            f"{statistics.median(keys['handled']):.1f}",
        ],
        ["from the key to the analyser", summarise(keys["audible"])],
        ["the same for a constant source on a blank page", summarise(keys["minimum"])],
        *(
            [f"a frame of the map, {POINTS:,} points, {gesture}", summarise(times["frames"])]
            for gesture, times in frames.items()
        ),
        *(
            [f"… of that our drawing, {gesture}", summarise(times["work"])]
            for gesture, times in frames.items()
        ),
    ]
    load = os.getloadavg()[0]
    body = (
        f"Chromium {version}, headless, without a graphics card and without an audio device, "
        f"1440 × 900; the machine's load was {load:.1f} on its cores. Median (95th percentile). "
        f"The browser reports {keys['latency']:.0f} ms from the audio clock to the "
        "loudspeaker.\n\n" + markdown_table(["", "ms"], rows)
    )
    write_section("explore-page", "The explore page", "python benchmarks/explore_page.py", body)


def main() -> None:
    """Take the pictures, measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures-only", action="store_true")
    options = parser.parse_args()
    with server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        take_pictures(browser, url)
        if options.pictures_only:
            return
        starts = measure_first_sound(browser, url)
        keys = measure_keys(browser, url)
        frames = measure_frames(browser, url)
        report(starts, keys, frames, browser.version)


if __name__ == "__main__":
    main()
