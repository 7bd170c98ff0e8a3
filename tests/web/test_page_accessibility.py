"""Accessibility: keyboard, phones, light and dark themes, reduced motion."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.browser import (
    current_step,
    open_recipe,
    point_position,
    selected_position,
    turn_on_sound,
    wait_for_sound,
    wait_until,
)

PHONE = {"width": 390, "height": 844}


def tab_to(page, selector: str) -> None:
    """Press Tab until an element is focused."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


def test_everything_works_with_the_keyboard(page):
    tab_to(page, "#map")
    for key in ("ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    wait_for_sound(page)  # a key counts as a user gesture
    cursor = page.evaluate("mechanicalEars.map.scene.cursor")
    name = page.evaluate("(i) => mechanicalEars.space.name[i]", cursor)
    wait_until(page, f"document.getElementById('announcements').textContent.startsWith({name!r})")
    page.keyboard.press("Enter")
    wait_until(page, f"document.getElementById('name').textContent === {name!r}")
    page.keyboard.press("ArrowLeft")
    other = page.evaluate("mechanicalEars.space.id[mechanicalEars.map.scene.cursor]")
    page.keyboard.press("m")
    wait_until(page, f"mechanicalEars.session.step.base.blend?.some((b) => b.id === {other!r})")
    tab_to(page, 'input[data-quality="bright"]')
    page.keyboard.press("ArrowRight")
    wait_until(page, "mechanicalEars.session.step.turn.bright === 0.1")
    tab_to(page, ".key")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.pitch") == "61"
    page.keyboard.press("Enter")
    page.wait_for_selector('.key.down[data-pitch="61"]')
    page.locator("#favourite").focus()
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelector('#favourite').getAttribute('aria-pressed') === 'true'")
    page.locator("#tab-shape").focus()
    page.keyboard.press("ArrowLeft")
    assert page.is_visible("#favourites")


def test_arrow_keys_move_to_the_nearest_instrument_in_their_direction(page):
    page.focus("#map")
    x, y = selected_position(page)
    page.keyboard.press("ArrowRight")
    cursor = page.evaluate("mechanicalEars.map.scene.cursor")
    px, py = point_position(page, cursor)
    assert px > x
    assert abs(py - y) <= 1.74 * (px - x)  # within 60 degrees


def test_the_space_bar_activates_a_button_focused_by_the_keyboard(page):
    tab_to(page, "#surprise")
    before = current_step(page)["instrument"]["id"]
    page.keyboard.press("Space")
    wait_until(page, f"mechanicalEars.session.instrument.id !== {before!r}")
    assert page.get_attribute("#pedal", "aria-pressed") == "false"


def test_typing_into_the_search_box_plays_no_notes(page):
    turn_on_sound(page)
    page.click("#search")
    page.keyboard.type("zebra")
    assert page.input_value("#search") == "zebra"
    assert page.locator(".key.down").count() == 0


def test_the_page_fits_the_width_of_a_phone(open_page):
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#map").bounding_box()["height"] > 250
    key = page.locator('.key.white[data-pitch="60"]').bounding_box()
    assert key["width"] >= 34
    assert 0 <= key["x"] < 390
    page.touchscreen.tap(*point_position(page, 4))
    wait_until(page, "mechanicalEars.engine.awake")
    wait_for_sound(page)


def violations(page) -> list[str]:
    """Serious violations of accessibility rules."""
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violations(open_page, scheme):
    page = open_page(color_scheme=scheme).page
    open_recipe(page, seed=3, family="flute")
    assert violations(page) == []
    page.click("#tab-analysis")
    page.wait_for_selector(".card table")
    assert violations(page) == []
    page.click("#tab-saved")
    assert violations(page) == []
    page.fill("#search", "organ")
    assert violations(page) == []
    page.click("#help")
    assert violations(page) == []


def test_the_theme_follows_the_system_until_one_is_chosen(open_page):
    page = open_page(color_scheme="dark").page
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.click("#theme")
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"


def test_reduced_motion_shows_no_waterfall_and_no_ripples(open_page):
    page = open_page(reduced_motion="reduce").page
    turn_on_sound(page)
    page.keyboard.down("KeyQ")
    wait_for_sound(page)
    page.wait_for_timeout(600)
    assert page.evaluate("mechanicalEars.map.scene.ripples.length") == 0
    top = page.evaluate(
        """() => {
          const canvas = document.getElementById("waterfall");
          const row = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1).data;
          return row.some((value) => value > 0);
        }"""
    )
    page.keyboard.up("KeyQ")
    assert not top  # the curve leaves the top empty; a waterfall would have filled it
