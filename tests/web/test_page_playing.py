"""Playing: on hover, with keys, fingers and MIDI; pitch, sustain and polyphony."""

import numpy as np
import pytest

from support.browser import (
    AUDIBLE_RMS,
    load_note,
    open_recipe,
    output_frequency,
    output_level,
    point_position,
    settle,
    turn_on_sound,
    wait_for_silence,
    wait_for_sound,
    wait_until,
)

FLUTE = {"seed": 3, "family": "flute"}
A4 = 69
LAYER = 80


def cents(frequency: float, pitch: float) -> float:
    """Cents from the frequency of a MIDI number to a frequency."""
    return 1200 * np.log2(frequency / (440 * 2 ** ((pitch - A4) / 12)))


@pytest.fixture
def flute_page(shared_page):
    """A page on which an instrument with a clear pitch is selected."""
    if shared_page.evaluate("mechanicalEars.session.instrument.name") != "flute-3":
        open_recipe(shared_page, **FLUTE)
    return shared_page


def test_the_page_is_silent_and_says_so_before_a_user_gesture(page):
    assert page.is_visible("#turn-on-sound")
    x, y = point_position(page, 0)
    page.mouse.move(x, y)
    page.wait_for_selector("#tooltip:not([hidden])")
    assert output_level(page) == 0
    turn_on_sound(page)
    assert page.evaluate("mechanicalEars.engine.awake")


def test_hovering_an_instrument_plays_a_short_note(shared_page):
    page = shared_page
    wait_for_silence(page)
    x, y = point_position(page, 7)
    page.mouse.move(x, y)
    wait_for_sound(page)
    assert page.inner_text("#tooltip").startswith(page.evaluate("mechanicalEars.space.name[7]"))
    page.mouse.move(5, 5)
    wait_for_silence(page)


def test_play_on_hover_can_be_turned_off(shared_page):
    page = shared_page
    page.uncheck("#hover-preview")
    wait_for_silence(page)
    x, y = point_position(page, 7)
    page.mouse.move(x, y)
    page.wait_for_selector("#tooltip:not([hidden])")
    page.wait_for_timeout(500)
    assert output_level(page) < AUDIBLE_RMS
    page.check("#hover-preview")


def test_computer_keys_play_their_pitches(flute_page):
    page = flute_page
    load_note(page, A4, LAYER)
    load_note(page, A4, 120)
    page.keyboard.down("KeyY")  # the upper row's A, above C4
    page.wait_for_selector(f'.key.down[data-pitch="{A4}"]')
    wait_for_sound(page)
    page.wait_for_timeout(300)
    assert abs(cents(output_frequency(page), A4)) < 10
    page.keyboard.up("KeyY")
    wait_for_silence(page)
    assert page.locator(".key.down").count() == 0
    page.keyboard.press("BracketLeft")
    assert page.inner_text("#octave") == "C2"
    load_note(page, A4 - 12, LAYER)
    page.keyboard.down("KeyY")
    wait_for_sound(page)
    page.wait_for_timeout(300)
    assert abs(cents(output_frequency(page), A4 - 12)) < 10
    page.keyboard.up("KeyY")
    page.keyboard.press("BracketRight")


def test_until_a_note_is_loaded_the_nearest_one_plays_at_its_pitch(flute_page):
    page = flute_page
    load_note(page, 60, LAYER)
    wait_until(page, "document.querySelectorAll('.key').length === 88")
    held_back = []
    page.route("**/notes/**", lambda route: held_back.append(route))
    assert page.evaluate(
        "mechanicalEars.notes.get(mechanicalEars.session.instrument.id, 61, 80) === undefined"
    )
    page.keyboard.down("Digit2")  # C sharp
    wait_for_sound(page)
    page.wait_for_timeout(300)
    assert abs(cents(output_frequency(page), 61)) < 10
    page.keyboard.up("Digit2")
    for route in held_back:
        route.continue_()
    page.unroute_all()


def test_a_finger_plays_louder_near_the_edge_of_a_key_and_slides_to_the_next(flute_page):
    page = flute_page
    for velocity in (40, 80, 120):
        load_note(page, 72, velocity)
    box = page.locator('.key[data-pitch="72"]').bounding_box()
    middle = box["x"] + box["width"] / 2

    def level_at(fraction: float) -> float:
        page.mouse.move(middle, box["y"] + fraction * box["height"])
        page.mouse.down()
        wait_for_sound(page)
        page.wait_for_timeout(350)
        level = output_level(page)
        page.mouse.up()
        wait_for_silence(page)
        return level

    soft, loud = level_at(0.66), level_at(0.98)
    assert loud > 1.15 * soft
    page.mouse.move(middle, box["y"] + 0.9 * box["height"])
    page.mouse.down()
    page.mouse.move(middle + box["width"], box["y"] + 0.9 * box["height"], steps=4)
    assert page.locator(".key.down").get_attribute("data-pitch") == "74"
    page.mouse.up()
    assert page.locator(".key.down").count() == 0


def test_several_fingers_play_a_chord(open_page):
    page = open_page(viewport={"width": 430, "height": 932}, has_touch=True, is_mobile=True).page
    page.locator("#name").tap()
    wait_until(page, "mechanicalEars.engine.awake")
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
    wait_until(page, "document.querySelectorAll('.key.down').length === 3")
    wait_for_sound(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait_until(page, "document.querySelectorAll('.key.down').length === 0")
    wait_for_silence(page)


def test_the_pedal_sustains_released_keys(flute_page):
    page = flute_page
    load_note(page, A4, LAYER)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.down("Space")
    assert page.get_attribute("#pedal", "aria-pressed") == "true"
    page.keyboard.down("KeyY")
    wait_for_sound(page)
    page.keyboard.up("KeyY")
    page.wait_for_timeout(700)
    assert output_level(page) > AUDIBLE_RMS
    page.keyboard.up("Space")
    assert page.get_attribute("#pedal", "aria-pressed") == "false"
    wait_for_silence(page)


def test_a_key_can_be_held_longer_than_its_note_was_rendered(shared_page):
    page = shared_page
    open_recipe(page, seed=8, family="organ")
    load_note(page, 60, LAYER)
    loop = page.evaluate(
        "mechanicalEars.notes.get(mechanicalEars.session.instrument.id, 60, 80).sustain.loop"
    )
    assert loop is not None
    page.keyboard.down("KeyQ")
    wait_for_sound(page)
    page.wait_for_timeout(4800)  # the note has 4 s, release included
    assert output_level(page) > AUDIBLE_RMS
    page.keyboard.up("KeyQ")
    wait_for_silence(page)


def test_forty_keys_at_once_use_32_voices_and_escape_stops_them(flute_page):
    page = flute_page
    load_note(page, 60, LAYER)
    page.evaluate(
        "for (let i = 0; i < 40; i++) mechanicalEars.player.press(`test ${i}`, 40 + i, 60)"
    )
    assert page.evaluate("mechanicalEars.voices.sounding") == 32
    wait_for_sound(page)
    page.wait_for_timeout(300)
    assert output_level(page) < 1
    page.keyboard.press("Escape")
    assert page.evaluate("mechanicalEars.voices.sounding") == 0
    wait_for_silence(page)


MIDI_KEYBOARD = """
window.midiInput = { name: "Test keys", onmidimessage: null };
navigator.requestMIDIAccess = async () =>
  Object.assign(new EventTarget(), { inputs: new Map([["1", window.midiInput]]) });
"""
MIDI_REFUSED = """
navigator.requestMIDIAccess = async () => { throw new DOMException("no", "NotAllowedError"); };
"""


def test_a_midi_keyboard_plays_notes(open_page):
    page = open_page(init_script=MIDI_KEYBOARD).page
    turn_on_sound(page)
    open_recipe(page, **FLUTE)
    load_note(page, A4, LAYER)
    page.click("#midi")
    page.wait_for_selector("#midi:has-text('Test keys')")
    send = "(message) => midiInput.onmidimessage({ data: new Uint8Array(message) })"
    page.evaluate(send, [0x90, A4, 80])
    wait_for_sound(page)
    page.wait_for_timeout(300)
    assert abs(cents(output_frequency(page), A4)) < 10
    page.evaluate(send, [0xB0, 64, 127])
    page.evaluate(send, [0x90, A4, 0])
    assert page.get_attribute("#pedal", "aria-pressed") == "true"
    assert page.evaluate("mechanicalEars.voices.sounding") == 1
    page.evaluate(send, [0xB0, 64, 0])
    wait_for_silence(page)


def test_a_refusal_of_midi_is_explained(open_page):
    page = open_page(init_script=MIDI_REFUSED).page
    page.click("#midi")
    assert "Allow MIDI" in page.inner_text(".notice.error p")


def test_a_phrase_plays_and_stops(shared_page):
    page = shared_page
    page.click("#phrase")
    wait_until(page, "document.querySelector('#phrase').getAttribute('aria-pressed') === 'true'")
    wait_for_sound(page)
    page.click("#phrase")
    assert page.get_attribute("#phrase", "aria-pressed") == "false"
    wait_for_silence(page)


@pytest.mark.parametrize("pitch", [21, 60, 108])
def test_low_middle_and_high_keys_sound(shared_page, pitch):
    page = shared_page
    page.evaluate("(pitch) => mechanicalEars.player.press('test', pitch, 100)", pitch)
    wait_for_sound(page)


def test_the_waterfall_rises_above_the_sounding_key(flute_page):
    """The waterfall's brightest column is above the key that sounds, or its octave."""
    page = flute_page
    load_note(page, A4, LAYER)
    page.keyboard.down("KeyY")
    wait_for_sound(page)
    page.wait_for_timeout(500)
    brightest = page.evaluate(
        """() => {
          const canvas = document.getElementById("waterfall");
          const { width, height } = canvas;
          const row = canvas.getContext("2d").getImageData(0, height - 1, width, 1).data;
          const { background } = mechanicalEars.liveDisplay;
          const contrast = (x) =>
            Math.max(...background.map((value, i) => Math.abs(row[4 * x + i] - value)));
          let best = 0;
          for (let x = 0; x < width; x++) if (contrast(x) > contrast(best)) best = x;
          return best;
        }"""
    )
    key = page.locator(f'.key[data-pitch="{A4}"]').bounding_box()
    page.keyboard.up("KeyY")
    edges = [key["x"] + octave * 7 * key["width"] for octave in (0, 1)]
    assert any(left - 4 <= brightest <= left + key["width"] + 4 for left in edges)
