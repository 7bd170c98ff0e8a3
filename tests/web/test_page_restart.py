"""The server stops while a page is open, and comes back."""

from support.browser import keep, open_recipe, step, until


def test_favourites_outlive_the_server_and_the_page_waits_for_it(opened, server):
    watched = opened()
    page = watched.page
    watched.watch.expected += [
        "ERR_CONNECTION_REFUSED",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
    ]
    open_recipe(page, seed=42, family="mallet")
    kept = step(page)["instrument"]["id"]
    keep(page)
    server.stop()
    try:
        page.click("#surprise")
        page.wait_for_selector("#lost:not([hidden])")
        assert "server has stopped" in page.inner_text("#lost")
    finally:
        server.start()
    page.wait_for_selector("#lost", state="hidden", timeout=60_000)
    page.wait_for_selector('.notice:has-text("back")')
    page.reload()
    page.wait_for_selector("#wait", state="hidden")
    page.click("#tab-kept")
    page.wait_for_selector("#favourites .pick")
    page.locator("#favourites .pick", has_text="mallet-42").click()
    until(page, f"mechanicalEars.session.instrument?.id === {kept!r}")
    assert (
        page.evaluate("async (id) => (await mechanicalEars.api.note(id, 60, 80)).byteLength", kept)
        > 100_000
    )
