"""The page of `ears explore` as a person meets it: its pictures, and how fast it answers.

    python benchmarks/explore_page.py [--pictures-only]

Starts the server on data of its own, opens the page in Chromium without a graphics card, and

- takes docs/pictures/explore-{wide,dark,narrow}.png,
- measures from the address to the first sound: the page is opened and a key pressed as soon as an
  instrument is in hand,
- from a key to its sound, the note being there. Chromium without an audio device needs most of that
  for itself: the same is measured for a bare constant source on a blank page, as the floor,
- the frames of the map at 10,000 points, zoomed and dragged without a pause.
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
STARTS = 5  # times that the page is opened
KEYS = 20  # times that a key is struck
FRAMES = 150
POINTS = 10_000
PICTURE_SEED = 11  # of what the page draws by lot, in the pictures

SEEDED = f"""
let state = {PICTURE_SEED};
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;
"""

FIRST_SOUND = """
async () => {
  const heard = () => {
    const { analyser } = globalThis.mechanicalEars?.engine ?? {};
    if (!analyser) return false;
    const audio = new Float32Array(1024);
    analyser.getFloatTimeDomainData(audio);
    return audio.some((sample) => Math.abs(sample) > 1e-3);
  };
  while (!heard()) await new Promise((resolve) => setTimeout(resolve, 2));
  return performance.now();  // ms since the address was entered
}
"""

KEY_TO_SOUND = """
async (keys) => {
  const { engine, voices } = mechanicalEars;
  const audio = new Float32Array(256);
  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const handled = [], heard = [];
  for (let i = 0; i < keys; i++) {
    const struck = performance.now();
    dispatchEvent(new KeyboardEvent("keydown", { code: "KeyQ" }));
    handled.push(performance.now() - struck);
    for (;;) {
      engine.analyser.getFloatTimeDomainData(audio);
      if (audio.some((sample) => Math.abs(sample) > 1e-4)) break;
      await rest(0);
    }
    heard.push(performance.now() - struck);
    dispatchEvent(new KeyboardEvent("keyup", { code: "KeyQ" }));
    voices.silence();
    await rest(600);
  }
  return { handled, heard, latency: 1000 * engine.latency };
}
"""

FLOOR = """
async (keys) => {
  const context = new AudioContext({ latencyHint: "interactive" });
  await context.resume();
  const analyser = new AnalyserNode(context, { fftSize: 8192 });
  analyser.connect(context.destination);
  const audio = new Float32Array(256);
  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  await rest(1000);
  const heard = [];
  for (let i = 0; i < keys; i++) {
    const source = new ConstantSourceNode(context);
    source.connect(analyser);
    const struck = performance.now();
    source.start();
    for (;;) {
      analyser.getFloatTimeDomainData(audio);
      if (audio.some((sample) => Math.abs(sample) > 1e-4)) break;
      await rest(0);
    }
    heard.push(performance.now() - struck);
    source.stop();
    source.disconnect();
    await rest(300);
  }
  return heard;
}
"""

CROWD = """
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
async ([what, count]) => {
  const { map } = mechanicalEars;
  const { view } = map;
  const frames = [], work = [];
  let last = performance.now();
  for (let i = 0; i < count; i++) {
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
    const begin = performance.now();
    if (what === "zoom") view.zoomAt(i < count / 2 ? 1.04 : 1 / 1.04, 400, 250);
    else view.pan(i % 40 < 20 ? 12 : -12, 5 * Math.sin(i / 5));
    map.drawNow();
    work.push(performance.now() - begin);
  }
  view.zoom = 1;
  view.centre(0, 0);
  map.draw();
  return { frames: frames.slice(5), work: work.slice(5) };
}
"""


@contextmanager
def server() -> Iterator[str]:
    """The server's address."""
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


def in_hand(page: Page) -> None:
    """Wait until an instrument is in hand."""
    page.wait_for_selector("#loading", state="hidden", timeout=120_000)
    page.wait_for_selector("#about svg", state="attached")


def until(page: Page, script: str) -> None:
    """Wait until an expression is true."""
    while not page.evaluate(script):
        page.wait_for_timeout(20)


def middle(values: list[float]) -> str:
    """Median and 95th percentile, ms."""
    return f"{statistics.median(values):.0f} ({statistics.quantiles(values, n=20)[18]:.0f})"


def first_sound(browser: Browser, url: str) -> list[float]:
    """From the address to the first sound, ms."""
    times = []
    for _ in range(STARTS):
        page = browser.new_page()
        page.goto(url)
        in_hand(page)
        page.keyboard.down("KeyQ")
        times.append(page.evaluate(FIRST_SOUND))
        page.close()
    return times


def key_to_sound(browser: Browser, url: str) -> dict[str, Any]:
    """From a key to its sound, ms: in the handler, until heard, and the floor."""
    page = browser.new_page()
    page.goto(url)
    in_hand(page)
    page.click("#turn-on-sound")
    page.evaluate("mechanicalEars.session.open({ seed: 8, family: 'bass' })")
    until(page, "mechanicalEars.session.instrument.name === 'bass-8'")
    for velocity in (80, 120):
        there = f"mechanicalEars.notes.get(mechanicalEars.session.instrument.id, 60, {velocity})"
        page.evaluate(
            """(velocity) => {
              const { notes, session } = mechanicalEars;
              notes.request(session.instrument.id, 60, velocity, true);
            }""",
            velocity,
        )
        until(page, f"Boolean({there})")
    page.wait_for_timeout(3000)
    told: dict[str, Any] = page.evaluate(KEY_TO_SOUND, KEYS)
    page.close()
    blank = browser.new_page()
    blank.goto(f"{url}/static/icon.svg")
    told["floor"] = blank.evaluate(FLOOR, KEYS)
    blank.close()
    return told


def frames(browser: Browser, url: str) -> dict[str, dict[str, list[float]]]:
    """Frame times of the map with many points, ms."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    in_hand(page)
    page.wait_for_timeout(3000)
    page.evaluate(CROWD, POINTS)
    told = {what: page.evaluate(FRAMES_SCRIPT, [what, FRAMES]) for what in ("drag", "zoom")}
    page.close()
    return told


def wander(page: Page, keys: list[str]) -> None:
    """A short walk that leaves a trail, and a chord that sounds."""
    page.click("#turn-on-sound")
    places: list[list[float]] = page.evaluate(
        """() => {
          const box = document.getElementById("map").getBoundingClientRect();
          const { index } = mechanicalEars.map;
          const inside = ([x, y]) => x > 60 && y > 60 && x < box.width - 80 && y < box.height - 80;
          const all = [...Array(index.count).keys()].map((i) => index.position(i)).filter(inside);
          const pick = (share) => all[Math.floor(share * all.length)];
          return [0.05, 0.42, 0.71].map(pick).map(([x, y]) => [x + box.left, y + box.top]);
        }"""
    )
    for x, y in places[:2]:
        page.mouse.click(x, y)
        page.wait_for_timeout(1500)
    x, y = places[2]
    at = page.evaluate(
        """() => {
          const box = document.getElementById("map").getBoundingClientRect();
          const { view, scene } = mechanicalEars.map;
          const [x, y] = view.toScreen(scene.selected.x, scene.selected.y);
          return [x + box.left, y + box.top];
        }"""
    )
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(x, y, steps=6)
    page.mouse.up()
    page.wait_for_timeout(2500)
    page.mouse.move(2, 400)
    for key in keys:
        page.keyboard.down(key)
        page.wait_for_timeout(450)
    page.wait_for_timeout(700)


def pictures(browser: Browser, url: str) -> None:
    """Wide, dark, and on a phone."""
    for name, scheme in (("wide", "light"), ("dark", "dark")):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.add_init_script(SEEDED)
        page.goto(url)
        in_hand(page)
        wander(page, ["KeyQ", "KeyE", "KeyT"])
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
    in_hand(page)
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


def report(starts: list[float], keys: dict[str, Any], drawn: dict[str, Any], version: str) -> None:
    """Write the section."""
    rows = [
        ["from the address to the first sound of a key", middle(starts)],
        [
            "a key's handler, until its note is on the audio clock",
            f"{statistics.median(keys['handled']):.1f}",
        ],
        ["from the key until the analyser sees it", middle(keys["heard"])],
        ["the same for a bare constant source on a blank page", middle(keys["floor"])],
        *(
            [f"a frame of the map, {POINTS:,} points, {what}", middle(told["frames"])]
            for what, told in drawn.items()
        ),
        *(
            [f"… of which our own drawing, {what}", middle(told["work"])]
            for what, told in drawn.items()
        ),
    ]
    load = os.getloadavg()[0]
    body = (
        f"Chromium {version}, headless, without a graphics card and without an audio device, "
        f"1440 × 900; the machine's load was {load:.1f} on its cores. Median (95th percentile). "
        f"The browser itself tells of {keys['latency']:.0f} ms from the audio clock to the "
        "loudspeaker.\n\n" + markdown_table(["", "ms"], rows)
    )
    write_section("explore-page", "The explore page", "python benchmarks/explore_page.py", body)


def main() -> None:
    """Take the pictures, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures-only", action="store_true")
    options = parser.parse_args()
    with server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        pictures(browser, url)
        if options.pictures_only:
            return
        starts = first_sound(browser, url)
        keys = key_to_sound(browser, url)
        drawn = frames(browser, url)
        report(starts, keys, drawn, browser.version)


if __name__ == "__main__":
    main()
