"""Running the server: the address, the browser, and the end by Ctrl-C."""

from __future__ import annotations

import socket
import webbrowser
from typing import Final

import uvicorn

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.server import Settings, create_app

LOOPBACK: Final = "127.0.0.1"
PORT: Final = 8768
BACKLOG: Final = 2048  # connections that wait to be taken


def serve(settings: Settings, host: str, port: int, browser: bool) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: of the server.
        host: address to listen at.
        port: 0 takes any that is free.
        browser: whether to open the page.

    Raises:
        EarsError: the port is taken, or the weights are missing.
    """
    listening = _listening(host, port)
    address = f"http://{host}:{listening.getsockname()[1]}/"
    app = create_app(settings)
    config = uvicorn.Config(app, log_level="warning", backlog=BACKLOG)
    print(f"explore at {address}  (Ctrl-C ends it)", flush=True)
    if browser:
        webbrowser.open(address)
    uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise EarsError(
            f"cannot listen at {host}:{port} ({error.strerror})",
            remedy="close what uses the port, or give another one: --port 0 takes any that is free",
        ) from error
    return found
