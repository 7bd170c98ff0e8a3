"""The command that opens the page in the browser: `ears explore`."""

from __future__ import annotations

import sys
from pathlib import Path

from mechanical_ears.cli.app import app
from mechanical_ears.errors import EarsError

EXTRA = {"fastapi", "uvicorn", "starlette", "pydantic", "platformdirs", "sklearn"}


@app.command
def explore(
    *,
    port: int = 8768,
    host: str = "127.0.0.1",
    browser: bool = True,
    model: Path | None = None,
    corpus: Path | None = None,
    data: Path | None = None,
    points: int | None = None,
) -> None:
    """Explore a map of imagined instruments in the browser, and play them.

    Args:
        port: TCP port; 0 selects any free one.
        host: address of the server; any but 127.0.0.1 requires the token in the printed address.
        browser: open the page in the default browser.
        model: folder of the imagination's weights; default: the shipped ones. A map of others
            is computed once.
        corpus: a store or folder of recordings whose instruments are added to the map.
        data: folder of favourites and caches; default: the user's data folder.
        points: largest number of imagined instruments on the map.
    """
    try:
        from mechanical_ears.explore.run_server import data_folder, serve
        from mechanical_ears.explore.server import Settings
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise EarsError(
            f"this needs {error.name}", remedy='pip install "mechanical-ears[explore]"'
        ) from error
    if points is not None and points < 1:
        raise EarsError(f'"points" is {points}, not above 0')
    if corpus is not None:
        from mechanical_ears.corpus.open_corpus import open_corpus

        open_corpus(corpus)  # errors are reported before the server starts
    settings = Settings(data or data_folder(), model, corpus, points)
    serve(settings, host, port, browser=browser)
    print("explore has ended", file=sys.stderr)
