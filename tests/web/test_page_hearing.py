"""The hearing card, dropped recordings, and files that are not recordings."""

import base64

import numpy as np
import pytest

from mechanical_ears import Sound
from support.browser import current_step, open_recipe, wait_for_sound, wait_until
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


def test_the_card_shows_what_the_ears_hear_in_the_instrument(shared_page):
    page = shared_page
    open_recipe(page, seed=3, family="flute")
    page.click("#tab-analysis")
    page.wait_for_selector(".card table")
    cells = page.locator(".card tbody tr").first.locator("td").all_inner_texts()
    assert cells[0] == "C2"
    heard = current_step(page)["instrument"]["heard"]
    assert f"{round(100 * heard['family_confidence'])} % sure" in page.inner_text(".card")
    assert "of the map are less novel" in page.inner_text(".card")


def test_a_dropped_recording_is_analysed_and_placed_on_the_map(shared_page):
    page = shared_page
    drop(page, REED.name, REED.read_bytes())
    page.wait_for_selector('.card:has-text("The key is A5")')
    wait_for_sound(page)
    assert "in tune" in page.inner_text(".card")
    assert page.get_attribute("#tab-analysis", "aria-selected") == "true"
    assert page.evaluate("mechanicalEars.map.scene.recording.name") == REED.name
    near = page.evaluate("mechanicalEars.map.scene.recording.near")
    assert 1 <= len(near) <= 12
    page.click('button:has-text("Remove from map")')
    assert page.evaluate("mechanicalEars.map.scene.recording") is None


def test_a_dropped_recording_is_played_on_all_keys(shared_page):
    page = shared_page
    drop(page, REED.name, REED.read_bytes())
    before = current_step(page)["instrument"]["id"]
    page.click('button:has-text("Play on all keys")')
    wait_until(page, f"mechanicalEars.session.instrument.id !== {before!r}")
    assert page.inner_text("#name").startswith("like ")
    page.wait_for_selector(".card table")  # the card shows the instrument
    page.click("#show-recording")
    assert page.is_visible('.card:has-text("The key is A5")')
    wait_until(page, "mechanicalEars.voices.sounding === 0", 15)
    page.keyboard.down("KeyW")
    wait_for_sound(page)
    page.keyboard.up("KeyW")


def test_a_recording_without_a_pitch_cannot_be_played_on_keys(shared_page, tmp_path):
    page = shared_page
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1
    Sound(noise, 16_000).save(tmp_path / "noise.wav")
    drop(page, "noise.wav", (tmp_path / "noise.wav").read_bytes())
    page.wait_for_selector('.card:has-text("No single pitch was found")')
    assert page.locator('button:has-text("Play on all keys")').count() == 0


@pytest.mark.parametrize("name", ["notes.wav", "archive.zip"])
def test_a_file_that_is_not_audio_is_explained(open_page, name):
    opened = open_page()
    opened.watch.expected += ["415", "422", "400"]
    drop(opened.page, name, b"PK\x03\x04 this is not audio at all" * 40)
    text = opened.page.inner_text(".notice.error p")
    assert name in text
    assert "Something went wrong" not in text


def test_empty_and_too_large_files_are_not_sent(page):
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    drop(page, "empty.wav", b"")
    page.wait_for_selector('.notice.error:has-text("is empty")')
    page.evaluate("mechanicalEars.about.upload = { bytes: 1000, seconds: 10 }")
    drop(page, "long.wav", bytes(2000))
    page.wait_for_selector('.notice.error:has-text("Cut out one note")')
    assert not [url for url in urls if "recordings" in url]


def test_a_request_to_a_busy_server_is_repeated(open_page):
    opened = open_page()
    opened.watch.expected.append("503")
    page = opened.page
    calls = []

    def busy_once(route) -> None:
        calls.append(route.request.url)
        if len(calls) == 1:
            route.fulfill(status=503, headers={"Retry-After": "0"}, json={"problem": "busy"})
        else:
            route.continue_()

    page.route("**/notes/100/40", busy_once)
    name = current_step(page)["instrument"]["id"]
    assert (
        page.evaluate("async (id) => (await mechanicalEars.api.note(id, 100, 40)).byteLength", name)
        > 100_000
    )
    assert len(calls) == 2


def test_a_refusal_of_the_server_is_shown_with_its_remedy(open_page):
    opened = open_page()
    opened.watch.expected.append("500")
    page = opened.page
    problem = {"problem": "the weights are missing", "remedy": "install mechanical-ears again"}
    page.route("**/api/instruments", lambda route: route.fulfill(status=500, json=problem))
    page.click("#surprise")
    text = page.inner_text(".notice.error p")
    assert "The weights are missing. Install mechanical-ears again." in text
