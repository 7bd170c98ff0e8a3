"""The command that opens the page."""

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
    """Wander through sound space in the browser and play what you find.

    Args:
        port: to listen at; 0 takes any that is free.
        host: address to listen at; others than 127.0.0.1 demand the token in the printed address.
        browser: open the page.
        model: folder of the weights that imagine, of which a map is made once; the shipped ones if
            not given.
        corpus: a store or a folder of recordings, whose instruments are on the map, too.
        data: folder of favourites and caches; the user's if not given.
        points: imagined instruments on the map at most.
    """
    try:
        from mechanical_ears.explore.running import data_folder, serve
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
        from mechanical_ears.corpus.opening import open_corpus

        open_corpus(corpus)  # what is wrong with it is told before anything starts
    settings = Settings(data or data_folder(), model, corpus, points)
    serve(settings, host, port, browser=browser)
    print("explore has ended", file=sys.stderr)
