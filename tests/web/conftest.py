"""Fixtures: the page in a real browser, with a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="pip install playwright")

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from support.browser import Server, Watch, reset_page, turn_on_sound, wait_for_start

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--autoplay-policy=document-user-activation-required"]
DEFAULT_OPTIONS: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
CLEAR_SETTINGS = """
if (!sessionStorage.cleared) { localStorage.clear(); sessionStorage.cleared = "yes"; }
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not CHROMIUM.exists():
        pytest.skip("chromium is missing (apt install chromium)")
    server = Server(tmp_path_factory.mktemp("explore"))
    server.start()
    yield server
    if server.is_running:
        server.stop()


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)


@dataclass
class OpenPage:
    page: Page
    watch: Watch


class PageOpener:
    """Opens pages, and checks that nothing goes wrong on them that a test does not expect."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context, self._url = context, url
        self._to_close: list[BrowserContext | Page] = []
        self._watches: list[Watch] = []

    def __call__(self, init_script: str = "", **options: Any) -> OpenPage:
        context = self._context
        if options:  # another browser context than the default one
            assert context.browser is not None
            context = context.browser.new_context(**{**DEFAULT_OPTIONS, **options})
            self._to_close.append(context)
        page = context.new_page()
        self._to_close.append(page)
        watch = Watch(self._url.removeprefix("http://"))
        self._watches.append(watch)
        page.on("console", watch.console)
        page.on("pageerror", lambda error: watch.errors.append(str(error)))
        page.on("request", watch.request)
        if init_script:
            page.add_init_script(init_script)
        page.goto(self._url)
        wait_for_start(page)
        return OpenPage(page, watch)

    def close(self) -> None:
        for closable in reversed(self._to_close):
            closable.close()
        for watch in self._watches:
            assert watch.unexpected == []
            assert watch.other_hosts == []


@pytest.fixture(scope="session")
def default_context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser context with a warm cache, in which pages start without settings."""
    context = browser.new_context(**DEFAULT_OPTIONS)
    context.add_init_script(CLEAR_SETTINGS)
    yield context
    context.close()


@pytest.fixture
def open_page(default_context: BrowserContext, server: Server) -> Iterator[PageOpener]:
    """A function that opens pages."""
    opener = PageOpener(default_context, server.url)
    yield opener
    opener.close()


@pytest.fixture
def page(open_page: PageOpener) -> Page:
    """A fresh page."""
    return open_page().page


@pytest.fixture(scope="module")
def module_page(default_context: BrowserContext, server: Server) -> Iterator[Page]:
    """A page that all tests of a module share, with sound turned on."""
    opener = PageOpener(default_context, server.url)
    page = opener().page
    turn_on_sound(page)
    yield page
    opener.close()


@pytest.fixture
def shared_page(module_page: Page) -> Page:
    """The page of a module's tests, reset."""
    reset_page(module_page)
    return module_page
