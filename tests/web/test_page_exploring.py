"""The map: selecting, searching, morphing, changing qualities; undo."""

import pytest

from support.browser import (
    current_step,
    open_recipe,
    point_position,
    selected_position,
    settle,
    turn_on_sound,
    wait_for_sound,
    wait_until,
)


def select(page, instrument: int) -> str:
    """Click an instrument of the map; return its id."""
    page.mouse.click(*point_position(page, instrument))
    selected = page.evaluate("(i) => mechanicalEars.space.id[i]", nearest(page, instrument))
    wait_until(page, f"mechanicalEars.session.instrument.id === {selected!r}")
    settle(page)
    return selected


def nearest(page, instrument: int) -> int:
    """Index of the instrument that a click at another one's position selects."""
    return page.evaluate(
        """(i) => {
          const { index } = mechanicalEars.map;
          return index.nearest(...index.position(i), 14);
        }""",
        instrument,
    )


def far_apart(page) -> tuple[int, int]:
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
    """Move a slider as a person does."""
    page.eval_on_selector(
        selector,
        "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', { bubbles: true })); }",
        str(value),
    )


def test_a_click_selects_an_instrument_and_plays_it(shared_page):
    page = shared_page
    settle(page)
    page.mouse.click(*point_position(page, 11))
    wait_for_sound(page)
    selected = select(page, 11)
    name = page.evaluate(
        "(id) => mechanicalEars.space.name[mechanicalEars.map.index.indexOf.get(id)]", selected
    )
    assert page.inner_text("#name") == name


def test_search_finds_a_family_and_enter_selects_the_first_result(shared_page):
    page = shared_page
    page.fill("#search", "organ")
    families = page.locator('#search-results [role="option"] small')
    assert families.count() > 3
    assert set(families.all_inner_texts()[:3]) <= {"organ", "recorded"}
    page.keyboard.press("ArrowDown")
    first = page.inner_text('#search-results [aria-selected="true"] span')
    page.keyboard.press("Enter")
    wait_until(page, f"document.getElementById('name').textContent === {first!r}")
    page.fill("#search", "no such instrument")
    assert "No results" in page.inner_text("#search-results")


def test_the_legend_shows_one_family_alone(shared_page):
    page = shared_page
    page.click('#legend button:has-text("organ")')
    shown = page.evaluate(
        """() => {
          const { index } = mechanicalEars.map;
          return [...new Set([...index.visible.keys()].filter((i) => index.visible[i])
            .map((i) => mechanicalEars.about.families[index.space.family[i]]))];
        }"""
    )
    assert shown == ["organ"]
    page.click('#legend button:has-text("organ")')
    assert page.evaluate("mechanicalEars.map.index.visible.every(Boolean)")


def test_the_wheel_zooms_about_the_pointer_and_dragging_pans(page):
    x, y = point_position(page, 5)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    wait_until(page, "mechanicalEars.map.view.zoom > 1.5")
    after = point_position(page, 5)
    assert after == pytest.approx((x, y), abs=1.5)
    page.mouse.move(60, 300)
    page.mouse.down()
    page.mouse.move(160, 340, steps=5)
    page.mouse.up()
    moved = point_position(page, 5)
    # a drag starts only after the movement that a click may have
    assert moved == pytest.approx((x + 100, y + 40), abs=8)
    page.click("#zoom-fit")
    wait_until(page, "mechanicalEars.map.view.zoom === 1")


def test_dragging_from_one_instrument_to_another_morphs(page):
    turn_on_sound(page)
    first, last = far_apart(page)
    start = select(page, first)
    end = page.evaluate("(i) => mechanicalEars.space.id[i]", nearest(page, last))
    page.mouse.move(*selected_position(page))
    page.mouse.down()
    page.mouse.move(*point_position(page, last), steps=8)
    page.mouse.up()
    page.wait_for_selector("#morph:not([hidden])")
    wait_until(page, "'blend' in mechanicalEars.session.step.base")
    settle(page)
    assert current_step(page)["base"]["blend"] == [
        {"id": start, "weight": 0.5},
        {"id": end, "weight": 0.5},
    ]
    middle = current_step(page)["instrument"]
    slide(page, "#morph-amount", 100)
    wait_until(page, f"mechanicalEars.session.instrument.id === {end!r}")
    slide(page, "#morph-amount", 0)
    wait_until(page, f"mechanicalEars.session.instrument.id === {start!r}")
    slide(page, "#morph-amount", 50)
    wait_until(page, f"mechanicalEars.session.instrument.id === {middle['id']!r}")
    page.click("#morph-close")
    assert page.is_hidden("#morph")


def test_a_slider_changes_a_quality_and_undo_restores_it(page):
    unchanged = current_step(page)["instrument"]["id"]
    slide(page, 'input[data-quality="bright"]', 1.5)
    wait_until(page, "mechanicalEars.session.step.turn.bright === 1.5")
    bright = current_step(page)["instrument"]["id"]
    assert bright != unchanged
    slide(page, 'input[data-quality="attack"]', -1)
    wait_until(page, "mechanicalEars.session.step.turn.attack === -1")
    page.click("#undo")
    assert current_step(page)["instrument"]["id"] == bright
    assert page.input_value('input[data-quality="attack"]') == "0"
    page.keyboard.press("Control+z")
    assert current_step(page)["instrument"]["id"] == unchanged
    assert page.input_value('input[data-quality="bright"]') == "0"
    assert page.is_disabled("#undo")
    page.keyboard.press("Control+Shift+z")
    assert current_step(page)["instrument"]["id"] == bright
    assert page.input_value('input[data-quality="bright"]') == "1.5"
    page.click("#quality-sliders .reset")
    wait_until(page, f"mechanicalEars.session.instrument.id === {unchanged!r}")


def test_brightness_makes_the_sound_brighter(shared_page):
    """The spectral centroid of the page's notes rises with the slider."""
    page = shared_page
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

    centroids = []
    for amount in (-2, 0, 2):
        slide(page, 'input[data-quality="bright"]', amount)
        wait_until(page, f"(mechanicalEars.session.step.turn.bright ?? 0) === {amount}")
        centroids.append(centroid())
    assert centroids[0] < centroids[1] < centroids[2]


def test_the_pad_blends_its_four_corners(shared_page):
    page = shared_page
    open_recipe(page, seed=11, family="brass")
    box = page.locator(".pad").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_until(page, "mechanicalEars.session.step.base.blend?.length === 4")
    assert [part["weight"] for part in current_step(page)["base"]["blend"]] == [0.25] * 4
    assert page.get_attribute(".knob", "aria-valuetext").count("25 %") == 4
    page.focus(".knob")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    corner = page.evaluate("mechanicalEars.session.step.tool.pad.corners[3].id")
    wait_until(page, f"mechanicalEars.session.instrument.id === {corner!r}")


def test_clicking_a_corner_puts_the_selected_instrument_there(shared_page):
    page = shared_page
    name = open_recipe(page, seed=12, family="brass")
    page.click('.corner[data-corner="3"]')
    assert page.inner_text('.corner[data-corner="3"]') == name


def test_a_and_b_hold_two_instruments(page):
    first = current_step(page)["instrument"]["id"]
    page.click("#slot-b")
    assert current_step(page)["instrument"]["id"] == first  # B starts with A's
    open_recipe(page, seed=21, family="reed")
    second = current_step(page)["instrument"]["id"]
    page.click("#slot-a")
    assert current_step(page)["instrument"]["id"] == first
    page.click("#slot-b")
    assert current_step(page)["instrument"]["id"] == second


def test_surprise_me_selects_another_instrument_each_time(shared_page):
    page = shared_page
    seen = {current_step(page)["instrument"]["id"]}
    for count in (2, 3):
        before = current_step(page)["instrument"]["id"]
        page.click("#surprise")
        wait_until(page, f"mechanicalEars.session.instrument.id !== {before!r}")
        seen.add(current_step(page)["instrument"]["id"])
        assert len(seen) == count


def test_an_instrument_that_the_server_has_closed_is_opened_again(open_page):
    """The page sends its recipe and then requests the note again."""
    opened = open_page()
    opened.watch.expected.append("404")
    page = opened.page
    open_recipe(page, seed=30, family="keyboard")
    instrument = current_step(page)["instrument"]["id"]
    urls = []
    not_found = {"problem": "no such instrument", "remedy": "open it again"}

    def not_found_once(route) -> None:
        urls.append(route.request.url)
        if len(urls) == 1:
            route.fulfill(status=404, json=not_found)
        else:
            route.continue_()

    page.route(f"**/api/instruments/{instrument}/notes/50/40", not_found_once)
    length = page.evaluate(
        "async (id) => (await mechanicalEars.api.note(id, 50, 40)).byteLength", instrument
    )
    assert length > 100_000
    assert len(urls) == 2
