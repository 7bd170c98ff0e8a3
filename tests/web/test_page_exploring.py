"""Wandering: choose, find, morph, turn; and the way back."""

import pytest

from support.browser import in_hand, open_recipe, place, settle, sounds, step, until, wake


def choose(page, instrument: int) -> str:
    """Click an instrument of the map; its id."""
    page.mouse.click(*place(page, instrument))
    chosen = page.evaluate("(i) => mechanicalEars.space.id[i]", nearest(page, instrument))
    until(page, f"mechanicalEars.session.instrument.id === {chosen!r}")
    settle(page)
    return chosen


def nearest(page, instrument: int) -> int:
    """The instrument on top at an instrument's place: the same one, unless two coincide."""
    return page.evaluate(
        "(i) => { const f = mechanicalEars.map.field; return f.nearest(...f.at(i), 14); }",
        instrument,
    )


def far(page) -> tuple[int, int]:
    """Two instruments far apart on the map."""
    first, last = page.evaluate(
        """() => {
          const order = [...mechanicalEars.space.x.keys()];
          order.sort((a, b) => mechanicalEars.space.x[a] - mechanicalEars.space.x[b]);
          return [order[20], order[order.length - 20]];
        }"""
    )
    return first, last


def slide(page, selector: str, value: float) -> None:
    """Move a slider as a hand does."""
    page.eval_on_selector(
        selector,
        "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', { bubbles: true })); }",
        str(value),
    )


def test_a_click_takes_an_instrument_in_hand_and_plays_it(shared):
    page = shared
    settle(page)
    page.mouse.click(*place(page, 11))
    sounds(page)
    chosen = choose(page, 11)
    name = page.evaluate(
        "(id) => mechanicalEars.space.name[mechanicalEars.map.field.places.get(id)]", chosen
    )
    assert page.inner_text("#name") == name


def test_search_finds_a_family_and_enter_takes_the_first(shared):
    page = shared
    page.fill("#find", "organ")
    families = page.locator('#found [role="option"] small')
    assert families.count() > 3
    assert set(families.all_inner_texts()[:3]) <= {"organ", "real"}
    page.keyboard.press("ArrowDown")
    first = page.inner_text('#found [aria-selected="true"] span')
    page.keyboard.press("Enter")
    until(page, f"document.getElementById('name').textContent === {first!r}")
    page.fill("#find", "no such instrument")
    assert "Nothing of that name" in page.inner_text("#found")


def test_the_legend_shows_one_family_alone(shared):
    page = shared
    page.click('#legend button:has-text("organ")')
    shown = page.evaluate(
        """() => {
          const { field } = mechanicalEars.map;
          return [...new Set([...field.visible.keys()].filter((i) => field.visible[i])
            .map((i) => mechanicalEars.about.families[field.space.family[i]]))];
        }"""
    )
    assert shown == ["organ"]
    page.click('#legend button:has-text("organ")')
    assert page.evaluate("mechanicalEars.map.field.visible.every(Boolean)")


def test_the_wheel_zooms_about_the_pointer_and_a_drag_moves(page):
    x, y = place(page, 5)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    until(page, "mechanicalEars.map.view.zoom > 1.5")
    after = place(page, 5)
    assert after == pytest.approx((x, y), abs=1.5)
    page.mouse.move(60, 300)
    page.mouse.down()
    page.mouse.move(160, 340, steps=5)
    page.mouse.up()
    moved = place(page, 5)
    assert moved == pytest.approx((x + 100, y + 40), abs=8)  # but for what makes it no click
    page.click("#zoom-whole")
    until(page, "mechanicalEars.map.view.zoom === 1")


def test_a_drag_from_one_instrument_to_another_is_a_morph(page):
    wake(page)
    first, last = far(page)
    start = choose(page, first)
    end = page.evaluate("(i) => mechanicalEars.space.id[i]", nearest(page, last))
    page.mouse.move(*in_hand(page))
    page.mouse.down()
    page.mouse.move(*place(page, last), steps=8)
    page.mouse.up()
    page.wait_for_selector("#thread:not([hidden])")
    until(page, "'blend' in mechanicalEars.session.step.base")
    settle(page)
    assert step(page)["base"]["blend"] == [{"id": start, "weight": 0.5}, {"id": end, "weight": 0.5}]
    middle = step(page)["instrument"]
    slide(page, "#amount", 100)
    until(page, f"mechanicalEars.session.instrument.id === {end!r}")
    slide(page, "#amount", 0)
    until(page, f"mechanicalEars.session.instrument.id === {start!r}")
    slide(page, "#amount", 50)
    until(page, f"mechanicalEars.session.instrument.id === {middle['id']!r}")
    page.click("#thread-close")
    assert page.is_hidden("#thread")


def test_a_slider_turns_an_instrument_and_undo_turns_it_back(page):
    plain = step(page)["instrument"]["id"]
    slide(page, 'input[data-quality="bright"]', 1.5)
    until(page, "mechanicalEars.session.step.turn.bright === 1.5")
    bright = step(page)["instrument"]["id"]
    assert bright != plain
    slide(page, 'input[data-quality="attack"]', -1)
    until(page, "mechanicalEars.session.step.turn.attack === -1")
    page.click("#undo")
    assert step(page)["instrument"]["id"] == bright
    assert page.input_value('input[data-quality="attack"]') == "0"
    page.keyboard.press("Control+z")
    assert step(page)["instrument"]["id"] == plain
    assert page.input_value('input[data-quality="bright"]') == "0"
    assert page.is_disabled("#undo")
    page.keyboard.press("Control+Shift+z")
    assert step(page)["instrument"]["id"] == bright
    assert page.input_value('input[data-quality="bright"]') == "1.5"
    page.click("#shape .reset")
    until(page, f"mechanicalEars.session.instrument.id === {plain!r}")


def test_brightness_makes_the_sound_brighter(shared):
    """The centroid of the server's notes, as the page has them, rises with the slider."""
    page = shared
    open_recipe(page, seed=5, family="string")

    def centroid() -> float:
        return page.evaluate(
            """async () => {
              const { api, engine, session } = mechanicalEars;
              const data = await api.note(session.instrument.id, 60, 80);
              const samples = (await engine.decode(data)).getChannelData(0).subarray(0, 48000);
              let [steep, power] = [0, 0];
              for (let i = 1; i < samples.length; i++) {
                steep += (samples[i] - samples[i - 1]) ** 2;
                power += samples[i] ** 2;
              }
              return Math.sqrt(steep / power);  // grows with the mean frequency
            }"""
        )

    heard = []
    for amount in (-2, 0, 2):
        slide(page, 'input[data-quality="bright"]', amount)
        until(page, f"(mechanicalEars.session.step.turn.bright ?? 0) === {amount}")
        heard.append(centroid())
    assert heard[0] < heard[1] < heard[2]


def test_the_pad_mixes_its_four_corners(shared):
    page = shared
    open_recipe(page, seed=11, family="brass")
    box = page.locator(".pad").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(page, "mechanicalEars.session.step.base.blend?.length === 4")
    assert [each["weight"] for each in step(page)["base"]["blend"]] == [0.25] * 4
    assert page.get_attribute(".knob", "aria-valuetext").count("25 %") == 4
    page.focus(".knob")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    corner = page.evaluate("mechanicalEars.session.step.tool.pad.corners[3].id")
    until(page, f"mechanicalEars.session.instrument.id === {corner!r}")


def test_a_corner_takes_the_instrument_in_hand(shared):
    page = shared
    name = open_recipe(page, seed=12, family="brass")
    page.click('.corner[data-corner="3"]')
    assert page.inner_text('.corner[data-corner="3"]') == name


def test_a_and_b_are_two_hands(page):
    first = step(page)["instrument"]["id"]
    page.click("#slot-b")
    assert step(page)["instrument"]["id"] == first  # an empty one begins with what is in hand
    open_recipe(page, seed=21, family="reed")
    second = step(page)["instrument"]["id"]
    page.click("#slot-a")
    assert step(page)["instrument"]["id"] == first
    page.click("#slot-b")
    assert step(page)["instrument"]["id"] == second


def test_a_surprise_is_another_instrument_each_time(shared):
    page = shared
    seen = {step(page)["instrument"]["id"]}
    for count in (2, 3):
        before = step(page)["instrument"]["id"]
        page.click("#surprise")
        until(page, f"mechanicalEars.session.instrument.id !== {before!r}")
        seen.add(step(page)["instrument"]["id"])
        assert len(seen) == count


def test_an_instrument_that_the_server_forgot_is_opened_again(opened):
    """Its recipe is sent, and the note comes as if nothing had happened."""
    watched = opened()
    watched.watch.expected.append("404")
    page = watched.page
    open_recipe(page, seed=30, family="keyboard")
    instrument = step(page)["instrument"]["id"]
    asked = []
    gone = {"problem": "no such instrument", "remedy": "open it again"}

    def forget_once(route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=404, json=gone)
        else:
            route.continue_()

    page.route(f"**/api/instruments/{instrument}/notes/50/40", forget_once)
    length = page.evaluate(
        "async (id) => (await mechanicalEars.api.note(id, 50, 40)).byteLength", instrument
    )
    assert length > 100_000
    assert len(asked) == 2
