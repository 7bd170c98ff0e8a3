"""A server that stops and restarts while a page is open."""

from support.browser import add_favourite, current_step, open_recipe, wait_until


def test_the_page_waits_for_the_server_and_favourites_persist(open_page, server):
    opened = open_page()
    page = opened.page
    opened.watch.expected += [
        "ERR_CONNECTION_REFUSED",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
    ]
    open_recipe(page, seed=42, family="mallet")
    favourite = current_step(page)["instrument"]["id"]
    add_favourite(page)
    server.stop()
    try:
        page.click("#surprise")
        page.wait_for_selector("#offline:not([hidden])")
        assert "server has stopped" in page.inner_text("#offline")
    finally:
        server.start()
    page.wait_for_selector("#offline", state="hidden", timeout=60_000)
    page.wait_for_selector('.notice:has-text("back")')
    page.reload()
    page.wait_for_selector("#loading", state="hidden")
    page.click("#tab-saved")
    page.wait_for_selector("#favourites .open-favourite")
    page.locator("#favourites .open-favourite", has_text="mallet-42").click()
    wait_until(page, f"mechanicalEars.session.instrument?.id === {favourite!r}")
    length = page.evaluate(
        "async (id) => (await mechanicalEars.api.note(id, 60, 80)).byteLength", favourite
    )
    assert length > 100_000
