"""The page in a real browser, before the real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="pip install playwright")

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from support.browser import Server, Watch, calm, started, wake

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--autoplay-policy=document-user-activation-required"]
USUAL: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
FORGETFUL = """
if (!sessionStorage.known) { localStorage.clear(); sessionStorage.known = "yes"; }
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not CHROMIUM.exists():
        pytest.skip("there is no chromium (apt install chromium)")
    made = Server(tmp_path_factory.mktemp("explore"))
    made.start()
    yield made
    if made.runs:
        made.stop()


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)


@dataclass
class Opened:
    page: Page
    watch: Watch


class Opener:
    """Opens pages as strangers do; nothing may go wrong on them that a test does not expect."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context, self._url = context, url
        self._closed: list[BrowserContext | Page] = []
        self._watches: list[Watch] = []

    def __call__(self, before: str = "", **options: Any) -> Opened:
        context = self._context
        if options:  # another kind of browser than the usual one
            assert context.browser is not None
            context = context.browser.new_context(**{**USUAL, **options})
            self._closed.append(context)
        page = context.new_page()
        self._closed.append(page)
        watch = Watch(self._url.removeprefix("http://"))
        self._watches.append(watch)
        page.on("console", watch.console)
        page.on("pageerror", lambda error: watch.errors.append(str(error)))
        page.on("request", watch.request)
        if before:
            page.add_init_script(before)
        page.goto(self._url)
        started(page)
        return Opened(page, watch)

    def close(self) -> None:
        for opened in reversed(self._closed):
            opened.close()
        for watch in self._watches:
            assert watch.unexpected == []
            assert watch.strangers == []


@pytest.fixture(scope="session")
def usual(browser: Browser) -> Iterator[BrowserContext]:
    """The usual browser: its cache is warm, but it remembers nothing of other pages."""
    context = browser.new_context(**USUAL)
    context.add_init_script(FORGETFUL)
    yield context
    context.close()


@pytest.fixture
def opened(usual: BrowserContext, server: Server) -> Iterator[Opener]:
    """A way to open pages."""
    opener = Opener(usual, server.url)
    yield opener
    opener.close()


@pytest.fixture
def page(opened: Opener) -> Page:
    """A page that nobody has touched."""
    return opened().page


@pytest.fixture(scope="module")
def one_page(usual: BrowserContext, server: Server) -> Iterator[Page]:
    opener = Opener(usual, server.url)
    page = opener().page
    wake(page)
    yield page
    opener.close()


@pytest.fixture
def shared(one_page: Page) -> Page:
    """A page with its sound on that a module's tests share, at rest."""
    calm(one_page)
    return one_page
