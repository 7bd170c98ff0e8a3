"""What is heard: on hover, by keys, fingers, MIDI; at the right pitch, as long as it is held."""

import numpy as np
import pytest

from support.browser import (
    AUDIBLE,
    falls_silent,
    frequency,
    level,
    loaded,
    open_recipe,
    place,
    settle,
    sounds,
    until,
    wake,
)

FLUTE = {"seed": 3, "family": "flute"}
A4 = 69
LAYER = 80


def cents(heard: float, pitch: float) -> float:
    return 1200 * np.log2(heard / (440 * 2 ** ((pitch - A4) / 12)))


@pytest.fixture
def flute(shared):
    """A page with an instrument in hand whose pitch is plain."""
    if shared.evaluate("mechanicalEars.session.instrument.name") != "flute-3":
        open_recipe(shared, **FLUTE)
    return shared


def test_nothing_sounds_before_a_gesture_and_the_page_says_so(page):
    assert page.is_visible("#sound")
    x, y = place(page, 0)
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    assert level(page) == 0
    wake(page)
    assert page.evaluate("mechanicalEars.engine.awake")


def test_an_instrument_sounds_when_pointed_at_and_falls_silent(shared):
    page = shared
    falls_silent(page)
    x, y = place(page, 7)
    page.mouse.move(x, y)
    sounds(page)
    assert page.inner_text("#tip").startswith(page.evaluate("mechanicalEars.space.name[7]"))
    page.mouse.move(5, 5)
    falls_silent(page)


def test_no_sound_on_hover_when_it_is_not_wanted(shared):
    page = shared
    page.uncheck("#hovering")
    falls_silent(page)
    x, y = place(page, 7)
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    page.wait_for_timeout(500)
    assert level(page) < AUDIBLE
    page.check("#hovering")


def test_computer_keys_play_the_pitch_they_stand_for(flute):
    page = flute
    loaded(page, A4, LAYER)
    loaded(page, A4, 120)
    page.keyboard.down("KeyY")  # the upper row's A, above C4
    page.wait_for_selector(f'.key.down[data-pitch="{A4}"]')
    sounds(page)
    page.wait_for_timeout(300)
    assert abs(cents(frequency(page), A4)) < 10
    page.keyboard.up("KeyY")
    falls_silent(page)
    assert page.locator(".key.down").count() == 0
    page.keyboard.press("BracketLeft")
    assert page.inner_text("#octave") == "C2"
    loaded(page, A4 - 12, LAYER)
    page.keyboard.down("KeyY")
    sounds(page)
    page.wait_for_timeout(300)
    assert abs(cents(frequency(page), A4 - 12)) < 10
    page.keyboard.up("KeyY")
    page.keyboard.press("BracketRight")


def test_the_nearest_note_stands_in_at_the_right_pitch(flute):
    page = flute
    loaded(page, 60, LAYER)
    until(page, "document.querySelectorAll('.key').length === 88")
    late = []
    page.route("**/notes/**", lambda route: late.append(route))  # the exact note does not come
    assert page.evaluate(
        "mechanicalEars.notes.get(mechanicalEars.session.instrument.id, 61, 80) === undefined"
    )
    page.keyboard.down("Digit2")  # C sharp
    sounds(page)
    page.wait_for_timeout(300)
    assert abs(cents(frequency(page), 61)) < 10
    page.keyboard.up("Digit2")
    for route in late:
        route.continue_()
    page.unroute_all()


def test_a_finger_lower_on_a_key_plays_louder_and_slides_to_the_next(flute):
    page = flute
    for velocity in (40, 80, 120):
        loaded(page, 72, velocity)
    box = page.locator('.key[data-pitch="72"]').bounding_box()
    middle = box["x"] + box["width"] / 2

    def loudness(part: float) -> float:
        page.mouse.move(middle, box["y"] + part * box["height"])
        page.mouse.down()
        sounds(page)
        page.wait_for_timeout(350)
        heard = level(page)
        page.mouse.up()
        falls_silent(page)
        return heard

    soft, hard = loudness(0.66), loudness(0.98)
    assert hard > 1.15 * soft
    page.mouse.move(middle, box["y"] + 0.9 * box["height"])
    page.mouse.down()
    page.mouse.move(middle + box["width"], box["y"] + 0.9 * box["height"], steps=4)
    assert page.locator(".key.down").get_attribute("data-pitch") == "74"
    page.mouse.up()
    assert page.locator(".key.down").count() == 0


def test_several_fingers_play_a_chord(opened):
    page = opened(viewport={"width": 430, "height": 932}, has_touch=True, is_mobile=True).page
    page.locator("#name").tap()
    until(page, "mechanicalEars.engine.awake")
    settle(page)
    points = []
    for pitch in (60, 64, 67):
        box = page.locator(f'.key[data-pitch="{pitch}"]').bounding_box()
        points.append({"x": box["x"] + box["width"] / 2, "y": box["y"] + 0.9 * box["height"]})
    touch = page.context.new_cdp_session(page)
    touch.send(
        "Input.dispatchTouchEvent",
        {"type": "touchStart", "touchPoints": [{**p, "id": i} for i, p in enumerate(points)]},
    )
    until(page, "document.querySelectorAll('.key.down').length === 3")
    sounds(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, "document.querySelectorAll('.key.down').length === 0")
    falls_silent(page)


def test_the_pedal_holds_what_is_let_go(flute):
    page = flute
    loaded(page, A4, LAYER)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.down("Space")
    assert page.get_attribute("#pedal", "aria-pressed") == "true"
    page.keyboard.down("KeyY")
    sounds(page)
    page.keyboard.up("KeyY")
    page.wait_for_timeout(700)
    assert level(page) > AUDIBLE
    page.keyboard.up("Space")
    assert page.get_attribute("#pedal", "aria-pressed") == "false"
    falls_silent(page)


def test_a_key_is_held_longer_than_its_note_was_rendered(shared):
    page = shared
    open_recipe(page, seed=8, family="organ")
    loaded(page, 60, LAYER)
    held = page.evaluate(
        "mechanicalEars.notes.get(mechanicalEars.session.instrument.id, 60, 80).held.loop"
    )
    assert held is not None
    page.keyboard.down("KeyQ")
    sounds(page)
    page.wait_for_timeout(4800)  # the note has 4 s, release included
    assert level(page) > AUDIBLE
    page.keyboard.up("KeyQ")
    falls_silent(page)


def test_forty_keys_at_once_are_32_voices_and_escape_ends_them(flute):
    page = flute
    loaded(page, 60, LAYER)
    page.evaluate(
        "for (let i = 0; i < 40; i++) mechanicalEars.player.press(`test ${i}`, 40 + i, 60)"
    )
    assert page.evaluate("mechanicalEars.voices.sounding") == 32
    sounds(page)
    page.wait_for_timeout(300)
    assert level(page) < 1
    page.keyboard.press("Escape")
    assert page.evaluate("mechanicalEars.voices.sounding") == 0
    falls_silent(page)


KEYBOARD = """
window.midiInput = { name: "Test keys", onmidimessage: null };
navigator.requestMIDIAccess = async () =>
  Object.assign(new EventTarget(), { inputs: new Map([["1", window.midiInput]]) });
"""
REFUSED = """
navigator.requestMIDIAccess = async () => { throw new DOMException("no", "NotAllowedError"); };
"""


def test_a_midi_keyboard_plays(opened):
    page = opened(before=KEYBOARD).page
    wake(page)
    open_recipe(page, **FLUTE)
    loaded(page, A4, LAYER)
    page.click("#midi")
    page.wait_for_selector("#midi:has-text('Test keys')")
    send = "(message) => midiInput.onmidimessage({ data: new Uint8Array(message) })"
    page.evaluate(send, [0x90, A4, 80])
    sounds(page)
    page.wait_for_timeout(300)
    assert abs(cents(frequency(page), A4)) < 10
    page.evaluate(send, [0xB0, 64, 127])
    page.evaluate(send, [0x90, A4, 0])
    assert page.get_attribute("#pedal", "aria-pressed") == "true"
    assert page.evaluate("mechanicalEars.voices.sounding") == 1
    page.evaluate(send, [0xB0, 64, 0])
    falls_silent(page)


def test_a_refusal_of_midi_is_told_in_words(opened):
    page = opened(before=REFUSED).page
    page.click("#midi")
    assert "Allow MIDI" in page.inner_text(".notice.wrong p")


def test_a_phrase_plays_and_stops(shared):
    page = shared
    page.click("#phrase")
    until(page, "document.querySelector('#phrase').getAttribute('aria-pressed') === 'true'")
    sounds(page)
    page.click("#phrase")
    assert page.get_attribute("#phrase", "aria-pressed") == "false"
    falls_silent(page)


@pytest.mark.parametrize("pitch", [21, 60, 108])
def test_every_part_of_the_keyboard_sounds(shared, pitch):
    page = shared
    page.evaluate("(pitch) => mechanicalEars.player.press('test', pitch, 100)", pitch)
    sounds(page)


def test_the_note_rises_from_its_key(flute):
    """The waterfall's brightest column stands above the key that sounds."""
    page = flute
    loaded(page, A4, LAYER)
    page.keyboard.down("KeyY")
    sounds(page)
    page.wait_for_timeout(500)
    brightest = page.evaluate(
        """() => {
          const canvas = document.getElementById("waterfall");
          const { width, height } = canvas;
          const row = canvas.getContext("2d").getImageData(0, height - 1, width, 1).data;
          const ground = mechanicalEars.live.field;
          const bands = [0, 1, 2];
          const far = (x) => Math.max(...bands.map((b) => Math.abs(row[4 * x + b] - ground[b])));
          let best = 0;
          for (let x = 0; x < width; x++) if (far(x) > far(best)) best = x;
          return best;
        }"""
    )
    key = page.locator(f'.key[data-pitch="{A4}"]').bounding_box()
    page.keyboard.up("KeyY")
    sounding = [key["x"] + octave * 7 * key["width"] for octave in (0, 1)]  # or its octave
    assert any(left - 4 <= brightest <= left + key["width"] + 4 for left in sounding)
