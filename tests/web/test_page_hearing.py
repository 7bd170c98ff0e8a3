"""What the ears say, of instruments and of recordings that are dropped; and of what is none."""

import base64

import numpy as np
import pytest

from mechanical_ears import Sound
from support.browser import open_recipe, sounds, step, until
from support.paths import EXAMPLES

NOTES = EXAMPLES
REED = NOTES / "reed_acoustic_111-081-100.flac"  # A5


def drop(page, name: str, data: bytes) -> None:
    """Drop a file on the page, as from a file manager."""
    page.evaluate(
        """([name, base64]) => {
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name));
          for (const type of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(
              new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(data).decode()],
    )


def test_the_card_tells_what_the_ears_hear_in_the_instrument(shared):
    page = shared
    open_recipe(page, seed=3, family="flute")
    page.click("#tab-ears")
    page.wait_for_selector(".card table")
    cells = page.locator(".card tbody tr").first.locator("td").all_inner_texts()
    assert cells[0] == "C2"
    heard = step(page)["instrument"]["heard"]
    assert f"{round(100 * heard['family_confidence'])} % sure" in page.inner_text(".card")
    assert "of the map are less new" in page.inner_text(".card")


def test_a_dropped_recording_is_heard_and_placed_on_the_map(shared):
    page = shared
    drop(page, REED.name, REED.read_bytes())
    page.wait_for_selector('.card:has-text("The key is A5")')
    sounds(page)
    told = page.inner_text(".card")
    assert "in tune" in told
    assert page.get_attribute("#tab-ears", "aria-selected") == "true"
    assert page.evaluate("mechanicalEars.map.scene.recording.name") == REED.name
    near = page.evaluate("mechanicalEars.map.scene.recording.near")
    assert 1 <= len(near) <= 12
    page.click('button:has-text("Take it off the map")')
    assert page.evaluate("mechanicalEars.map.scene.recording") is None


def test_a_dropped_recording_is_played_on_all_keys(shared):
    page = shared
    drop(page, REED.name, REED.read_bytes())
    before = step(page)["instrument"]["id"]
    page.click('button:has-text("Play it on all keys")')
    until(page, f"mechanicalEars.session.instrument.id !== {before!r}")
    assert page.inner_text("#name").startswith("like ")
    page.wait_for_selector(".card table")  # the card is now that of the instrument …
    page.click("#recorded")
    assert page.is_visible('.card:has-text("The key is A5")')  # … and leads back
    until(page, "mechanicalEars.voices.sounding === 0", 15)
    page.keyboard.down("KeyW")
    sounds(page)
    page.keyboard.up("KeyW")


def test_a_recording_without_a_pitch_is_told_so(shared, tmp_path):
    page = shared
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1
    Sound(noise, 16_000).save(tmp_path / "hiss.wav")
    drop(page, "hiss.wav", (tmp_path / "hiss.wav").read_bytes())
    page.wait_for_selector('.card:has-text("No single pitch is heard")')
    assert page.locator('button:has-text("Play it on all keys")').count() == 0


@pytest.mark.parametrize("name", ["notes.wav", "archive.zip"])
def test_what_is_no_audio_is_told_in_words(opened, name):
    watched = opened()
    watched.watch.expected += ["415", "422", "400"]
    drop(watched.page, name, b"PK\x03\x04 this is no sound at all" * 40)
    words = watched.page.inner_text(".notice.wrong p")
    assert name in words
    assert "Something went wrong" not in words


def test_an_empty_file_and_one_too_large_are_not_even_sent(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    drop(page, "empty.wav", b"")
    page.wait_for_selector('.notice.wrong:has-text("is empty")')
    page.evaluate("mechanicalEars.about.upload = { bytes: 1000, seconds: 10 }")
    drop(page, "long.wav", bytes(2000))
    page.wait_for_selector('.notice.wrong:has-text("Cut out one note")')
    assert not [url for url in asked if "recordings" in url]


def test_a_busy_server_is_asked_again(opened):
    watched = opened()
    watched.watch.expected.append("503")
    page = watched.page
    calls = []

    def busy_once(route) -> None:
        calls.append(route.request.url)
        if len(calls) == 1:
            route.fulfill(status=503, headers={"Retry-After": "0"}, json={"problem": "busy"})
        else:
            route.continue_()

    page.route("**/notes/100/40", busy_once)
    name = step(page)["instrument"]["id"]
    assert (
        page.evaluate("async (id) => (await mechanicalEars.api.note(id, 100, 40)).byteLength", name)
        > 100_000
    )
    assert len(calls) == 2


def test_what_the_server_refuses_is_told_with_its_remedy(opened):
    watched = opened()
    watched.watch.expected.append("500")
    page = watched.page
    told = {"problem": "the weights are missing", "remedy": "install mechanical-ears again"}
    page.route("**/api/instruments", lambda route: route.fulfill(status=500, json=told))
    page.click("#surprise")
    words = page.inner_text(".notice.wrong p")
    assert "The weights are missing. Install mechanical-ears again." in words
