"""The server: HTTP around the studio.

    page ── HTTP ── guard ── routes ── studio ── rendering ── workers

Errors are JSON, ``{"problem", "remedy"}``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Scope

import mechanical_ears
from mechanical_ears.errors import EarsError
from mechanical_ears.explore import favourite_routes, routes, upload_routes
from mechanical_ears.explore.export_queue import Exports, ManyExportsError, UnknownJobError
from mechanical_ears.explore.favourites import FavouriteError, Favourites
from mechanical_ears.explore.map_loader import Mapping
from mechanical_ears.explore.security import Guard
from mechanical_ears.explore.service import Studio, UnknownError
from mechanical_ears.explore.worker_pool import BusyError, Rendering

STATIC: Final = Path(__file__).parent / "static"
UNKNOWN: Final = (UnknownError, UnknownJobError, FavouriteError)

log = logging.getLogger("mechanical_ears.explore")


@dataclass(frozen=True)
class Settings:
    """How a server is set up.

    Attributes:
        data: folder of favourites and caches.
        model: folder of weights; None for the shipped ones.
        corpus: a store or a folder of recordings; None for none.
        points: imagined instruments on the map at most; None for all.
        token: that is demanded; None on loopback.
        workers: processes; None for one a core.
    """

    data: Path
    model: Path | None = None
    corpus: Path | None = None
    points: int | None = None
    token: str | None = None
    workers: int | None = None


def create_app(settings: Settings) -> FastAPI:
    """The application; its workers start with it and end with it.

    Raises:
        EarsError: as it starts: the weights are missing, the favourites cannot be read.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        favourites = Favourites(settings.data)
        rendering = Rendering(settings.model, settings.corpus, settings.workers)
        studio = Studio(rendering, await rendering.start(), favourites)
        exports = Exports(settings.model, settings.corpus)
        mapping = Mapping(studio, settings.data, settings.points)
        app.state.studio, app.state.exports = studio, exports
        exports.start()
        mapping.start()
        try:
            yield
        finally:
            await mapping.stop()
            await exports.stop()
            await rendering.stop()
            favourites.close()

    app = FastAPI(
        title="Mechanical Ears, explore",
        version=mechanical_ears.__version__,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    for each in (routes, upload_routes, favourite_routes):
        app.include_router(each.router)
    app.mount("/static", Static(directory=STATIC), name="static")
    app.add_middleware(Guard, token=settings.token)
    _answer_errors(app)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    return app


class Static(StaticFiles):
    """Files of the page; browsers ask each time whether they are still the same."""

    async def get_response(self, path: str, scope: Scope) -> Any:
        """A file, or that it is the same."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _answer_errors(app: FastAPI) -> None:
    def answer(status: int, problem: str, remedy: str | None, **headers: str) -> JSONResponse:
        return JSONResponse({"problem": problem, "remedy": remedy or ""}, status, headers)

    @app.exception_handler(EarsError)
    async def ours(request: Request, error: EarsError) -> JSONResponse:
        if isinstance(error, BusyError):
            return answer(503, error.problem, error.remedy, **{"Retry-After": "1"})
        if isinstance(error, ManyExportsError):
            return answer(429, error.problem, error.remedy, **{"Retry-After": "10"})
        return answer(404 if isinstance(error, UNKNOWN) else 422, error.problem, error.remedy)

    @app.exception_handler(RequestValidationError)
    async def values(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return answer(422, f"{place}: {first['msg']}", "see /api/openapi.json")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        problem, _, remedy = str(error.detail).partition("; ")
        return JSONResponse(
            {"problem": problem, "remedy": remedy}, error.status_code, error.headers
        )
