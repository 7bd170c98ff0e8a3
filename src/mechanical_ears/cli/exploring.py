"""The command that opens the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from mechanical_ears.cli.apps import app

NoBrowser = Annotated[bool, arg(name="no-browser")]


@app.command
def explore(
    *,
    port: int = 8768,
    host: str = "127.0.0.1",
    no_browser: NoBrowser = False,
    model: Path | None = None,
) -> None:
    """Wander through sound space in the browser and play what you find.

    Args:
        port: to listen at; 0 takes any that is free.
        host: address to listen at; others than 127.0.0.1 demand a token.
        no_browser: do not open the page.
        model: folder of the weights that imagine; the shipped ones if not given.
    """
    from mechanical_ears.explore.running import serve
    from mechanical_ears.explore.server import Settings

    serve(Settings(model=model), host, port, browser=not no_browser)
