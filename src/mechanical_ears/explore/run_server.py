"""Running the server: the address, the browser, and the end by Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
import threading
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.server import Settings, create_app

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
BACKLOG: Final = 2048  # connections that wait to be taken
OPEN_FILES: Final = 16_384  # that are asked for: a connection is one
HEADER_SECONDS: Final = 8.0  # in which a request must be told
STOP_SECONDS: Final = 3  # that requests are given to end


class Patient(H11Protocol):
    """HTTP that closes a connection on which a request does not get told in time."""

    _waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, until the request is there."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()
        elif self._waits is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waits = self.loop.call_later(HEADER_SECONDS, self._late)

    def _wait_no_more(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _late(self) -> None:
        self._waits = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Server(uvicorn.Server):
    """A server that says where it is once it answers, and what kept it from starting.

    Args:
        config: of uvicorn.
        address: of the page.
        browser: whether to open it.
    """

    def __init__(self, config: uvicorn.Config, address: str, browser: bool) -> None:
        super().__init__(config)
        self._address = address
        self._browser = browser

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.should_exit:
            return
        print(f"explore at {self._address}  (Ctrl-C ends it)", flush=True)
        if self._browser:  # in a thread: a browser in the terminal does not come back
            threading.Thread(target=_open_page, args=(self._address,), daemon=True).start()


def _open_page(address: str) -> None:
    if not webbrowser.open(address):
        print("no browser was found: open the address in one", file=sys.stderr)


def serve(settings: Settings, host: str, port: int, browser: bool) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: of the server; on other addresses than loopback a token is added.
        host: address to listen at.
        port: 0 takes any that is free.
        browser: whether to open the page.

    Raises:
        EarsError: the port is taken, the weights are missing, the data folder cannot be used.
    """
    with _listening(host, port) as listening:
        _more_open_files()
        named = f"[{host}]" if ":" in host else host
        address = f"http://{named}:{listening.getsockname()[1]}/"
        if host not in LOOPBACK:
            settings = replace(settings, token=secrets.token_urlsafe(24))
            address += f"?token={settings.token}"
        kept: list[EarsError] = []
        config = uvicorn.Config(
            _telling(create_app(settings), kept),
            http=Patient,
            ws="none",
            lifespan="on",
            log_level="critical",
            backlog=BACKLOG,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            Server(config, address, browser).run(sockets=[listening])
        if kept:
            raise kept[0]


def _telling(app: Any, kept: list[EarsError]) -> Any:
    """The application, whose errors as it starts are kept: uvicorn only logs them."""

    async def telling(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        try:
            await app(scope, receive, send)
        except EarsError as error:
            kept.append(error)
            raise

    return telling


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only where the protocol is named does asyncio send small answers at once (TCP_NODELAY), and
    # not 40 ms later.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # there it would let two servers listen at one port
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        found.close()
        raise EarsError(
            f"cannot listen at {host}, port {port} ({getattr(error, 'strerror', None) or error})",
            remedy="close what uses the port, or give another one: --port 0 takes any that is free",
        ) from error
    return found


def _more_open_files() -> None:
    """Ask for as many connections as the system gives."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def data_folder() -> Path:
    """Where the user's favourites and caches are kept."""
    from platformdirs import user_data_path

    return user_data_path("mechanical-ears", appauthor=False)
