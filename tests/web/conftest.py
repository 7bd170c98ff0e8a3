"""The page in a real browser, before the real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="pip install playwright")
sys.path.insert(0, str(Path(__file__).parent))

from browsing import Server, Watch, calm, started, wake
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--autoplay-policy=document-user-activation-required"]


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

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._contexts: list[BrowserContext] = []
        self._watches: list[Watch] = []

    def __call__(
        self, wide: int = 1280, high: int = 800, before: str = "", **options: Any
    ) -> Opened:
        context = self._browser.new_context(viewport={"width": wide, "height": high}, **options)
        self._contexts.append(context)
        page = context.new_page()
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
        for context in self._contexts:
            context.close()
        for watch in self._watches:
            assert watch.unexpected == []
            assert watch.strangers == []


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Opener]:
    """A way to open pages."""
    opener = Opener(browser, server.url)
    yield opener
    opener.close()


@pytest.fixture
def page(opened: Opener) -> Page:
    """A page that nobody has touched."""
    return opened().page


@pytest.fixture(scope="module")
def one_page(browser: Browser, server: Server) -> Iterator[Page]:
    opener = Opener(browser, server.url)
    page = opener().page
    wake(page)
    yield page
    opener.close()


@pytest.fixture
def shared(one_page: Page) -> Page:
    """A page with its sound on that a module's tests share, at rest."""
    calm(one_page)
    return one_page
