"""For everyone: by the keyboard alone, on a phone, in light and dark, with less motion."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.browser import in_hand, open_recipe, place, sounds, step, until, wake

PHONE = {"width": 390, "height": 844}


def tab_to(page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"the keyboard does not reach {selector}")


def test_the_keyboard_alone_is_enough(page):
    tab_to(page, "#map")
    for key in ("ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    sounds(page)  # a key is a gesture
    cursor = page.evaluate("mechanicalEars.map.scene.cursor")
    name = page.evaluate("(i) => mechanicalEars.space.name[i]", cursor)
    until(page, f"document.getElementById('spoken').textContent.startsWith({name!r})")
    page.keyboard.press("Enter")
    until(page, f"document.getElementById('name').textContent === {name!r}")
    page.keyboard.press("ArrowLeft")
    other = page.evaluate("mechanicalEars.space.id[mechanicalEars.map.scene.cursor]")
    page.keyboard.press("m")
    until(page, f"mechanicalEars.session.step.base.blend?.some((b) => b.id === {other!r})")
    tab_to(page, 'input[data-quality="bright"]')
    page.keyboard.press("ArrowRight")
    until(page, "mechanicalEars.session.step.turn.bright === 0.1")
    tab_to(page, ".key")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.pitch") == "61"
    page.keyboard.press("Enter")
    page.wait_for_selector('.key.down[data-pitch="61"]')
    page.locator("#keep").focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#keep').getAttribute('aria-pressed') === 'true'")
    page.locator("#tab-walk").focus()
    page.keyboard.press("ArrowLeft")
    assert page.is_visible("#favourites")


def test_arrows_go_to_the_nearest_instrument_in_their_direction(page):
    page.focus("#map")
    x, y = in_hand(page)
    page.keyboard.press("ArrowRight")
    cursor = page.evaluate("mechanicalEars.map.scene.cursor")
    px, py = place(page, cursor)
    assert px > x
    assert abs(py - y) <= 1.74 * (px - x)  # within 60 degrees


def test_space_on_a_button_that_the_keyboard_reached_presses_it(page):
    tab_to(page, "#surprise")
    before = step(page)["instrument"]["id"]
    page.keyboard.press("Space")
    until(page, f"mechanicalEars.session.instrument.id !== {before!r}")
    assert page.get_attribute("#pedal", "aria-pressed") == "false"


def test_letters_typed_into_the_search_box_play_nothing(page):
    wake(page)
    page.click("#find")
    page.keyboard.type("zebra")
    assert page.input_value("#find") == "zebra"
    assert page.locator(".key.down").count() == 0


def test_a_phone_needs_no_sideways_scrolling(opened):
    page = opened(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#map").bounding_box()["height"] > 250
    key = page.locator('.key.white[data-pitch="60"]').bounding_box()
    assert key["width"] >= 34
    assert 0 <= key["x"] < 390
    page.touchscreen.tap(*place(page, 4))
    until(page, "mechanicalEars.engine.awake")
    sounds(page)


def violations(page) -> list[str]:
    told = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in told
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, scheme):
    page = opened(color_scheme=scheme).page
    open_recipe(page, seed=3, family="flute")
    assert violations(page) == []
    page.click("#tab-ears")
    page.wait_for_selector(".card table")
    assert violations(page) == []
    page.click("#tab-kept")
    assert violations(page) == []
    page.fill("#find", "organ")
    assert violations(page) == []
    page.click("#help")
    assert violations(page) == []


def test_the_theme_follows_the_system_until_it_is_chosen(opened):
    page = opened(color_scheme="dark").page
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.click("#theme")
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"


def test_with_less_motion_nothing_scrolls_or_ripples(opened):
    page = opened(reduced_motion="reduce").page
    wake(page)
    page.keyboard.down("KeyQ")
    sounds(page)
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
    assert not top  # the still curve leaves the top free; a waterfall would have filled it
