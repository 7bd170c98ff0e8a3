"""Run the server: bind the address, open the browser, and stop at Ctrl-C."""

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
BACKLOG: Final = 2048  # connections that wait to be accepted
MAX_OPEN_FILES: Final = 16_384  # including connections
HEADER_SECONDS: Final = 8.0  # s in which the headers of a request must arrive
STOP_SECONDS: Final = 3  # s that running requests have to finish


class TimeoutProtocol(H11Protocol):
    """HTTP that closes a connection whose next request does not arrive in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Let the timer run until the request is complete."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEADER_SECONDS, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class ExploreServer(uvicorn.Server):
    """A server that prints its address when it is ready.

    Args:
        config: of uvicorn.
        address: of the page.
        browser: whether to open the page.
    """

    def __init__(self, config: uvicorn.Config, address: str, browser: bool) -> None:
        super().__init__(config)
        self._address = address
        self._browser = browser

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the address and open the page."""
        await super().startup(sockets)
        if self.should_exit:
            return
        print(f"explore at {self._address}  (Ctrl-C stops it)", flush=True)
        if self._browser:  # in a thread, since a browser in the terminal blocks
            threading.Thread(target=_open_page, args=(self._address,), daemon=True).start()


def _open_page(address: str) -> None:
    if not webbrowser.open(address):
        print("no browser was found: open the address in one", file=sys.stderr)


def serve(settings: Settings, host: str, port: int, browser: bool) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: of the server; on any address but loopback a random token is added.
        host: address to listen on.
        port: TCP port; 0 for any free one.
        browser: whether to open the page.

    Raises:
        EarsError: the port is in use, the weights are missing, the data folder cannot be used.
    """
    with _listen(host, port) as listener:
        _raise_open_file_limit()
        url_host = f"[{host}]" if ":" in host else host
        address = f"http://{url_host}:{listener.getsockname()[1]}/"
        if host not in LOOPBACK:
            settings = replace(settings, token=secrets.token_urlsafe(24))
            address += f"?token={settings.token}"
        startup_errors: list[EarsError] = []
        config = uvicorn.Config(
            _capture_startup_errors(create_app(settings), startup_errors),
            http=TimeoutProtocol,
            ws="none",
            lifespan="on",
            log_level="critical",
            backlog=BACKLOG,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            ExploreServer(config, address, browser).run(sockets=[listener])
        if startup_errors:
            raise startup_errors[0]


def _capture_startup_errors(app: Any, errors: list[EarsError]) -> Any:
    """Append errors of the application's start to a list, since uvicorn only logs them."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except EarsError as error:
            if scope["type"] == "lifespan":
                errors.append(error)
            raise

    return wrapper


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only with an explicit protocol does asyncio set TCP_NODELAY; without it small responses are
    # sent 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # there it would let two servers listen on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise EarsError(
            f"cannot listen on {host}, port {port} ({getattr(error, 'strerror', None) or error})",
            remedy="stop what uses the port, or use another one: --port 0 selects a free one",
        ) from error
    return listener


def _raise_open_file_limit() -> None:
    """Allow as many connections as the system permits."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft < limit:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def data_folder() -> Path:
    """The folder of the user's favourites and caches."""
    from platformdirs import user_data_path

    return user_data_path("mechanical-ears", appauthor=False)
