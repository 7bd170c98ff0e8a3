"""The web server: security, routes and the services behind them.

    page ── HTTP ── security ── routes ── service ── worker pool ── workers

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
from mechanical_ears.explore import export_routes, favourite_routes, routes, upload_routes
from mechanical_ears.explore.export_queue import ExportQueue, TooManyExportsError
from mechanical_ears.explore.favourites import Favourites
from mechanical_ears.explore.map_loader import MapLoader
from mechanical_ears.explore.open_instruments import UnknownIdError
from mechanical_ears.explore.security import SecurityMiddleware
from mechanical_ears.explore.service import ExploreService
from mechanical_ears.explore.worker_pool import BusyError, WorkerPool

STATIC: Final = Path(__file__).parent / "static"

log = logging.getLogger("mechanical_ears.explore")


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        data: folder of favourites and caches.
        model: folder of weights; None for the shipped ones.
        corpus: a store or a folder of recordings; None for none.
        points: largest number of imagined instruments on the map; None for all.
        token: that requests must have; None on loopback.
        workers: processes; None for one per core.
    """

    data: Path
    model: Path | None = None
    corpus: Path | None = None
    points: int | None = None
    token: str | None = None
    workers: int | None = None


def create_app(settings: Settings) -> FastAPI:
    """The application; its workers start and stop with it.

    Raises:
        EarsError: when it starts, if the weights are missing or the favourites cannot be read.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        favourites = Favourites(settings.data)
        pool = WorkerPool(settings.model, settings.corpus, settings.workers)
        service = ExploreService(pool, await pool.start(), favourites)
        exports = ExportQueue(settings.model, settings.corpus)
        map_loader = MapLoader(service, settings.data, settings.points)
        app.state.service, app.state.exports = service, exports
        exports.start()
        map_loader.start()
        try:
            yield
        finally:
            await map_loader.stop()
            await exports.stop()
            await pool.stop()
            favourites.close()

    app = FastAPI(
        title="Mechanical Ears, explore",
        version=mechanical_ears.__version__,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from other sites
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    for module in (routes, upload_routes, export_routes, favourite_routes):
        app.include_router(module.router)
    app.mount("/static", PageFiles(directory=STATIC), name="static")
    app.add_middleware(SecurityMiddleware, token=settings.token)
    _add_error_handlers(app)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    return app


class PageFiles(StaticFiles):
    """Files of the page; browsers check each time whether they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Any:
        """The file, or that it has not changed."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_error_handlers(app: FastAPI) -> None:
    def respond(status: int, problem: str, remedy: str | None, **headers: str) -> JSONResponse:
        return JSONResponse({"problem": problem, "remedy": remedy or ""}, status, headers)

    @app.exception_handler(EarsError)
    async def on_ears_error(request: Request, error: EarsError) -> JSONResponse:
        if isinstance(error, BusyError):
            return respond(503, error.problem, error.remedy, **{"Retry-After": "1"})
        if isinstance(error, TooManyExportsError):
            return respond(429, error.problem, error.remedy, **{"Retry-After": "10"})
        status = 404 if isinstance(error, UnknownIdError) else 422
        return respond(status, error.problem, error.remedy)

    @app.exception_handler(RequestValidationError)
    async def on_invalid_values(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return respond(422, f"{field}: {first['msg']}", "see /api/openapi.json")

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> JSONResponse:
        problem, _, remedy = str(error.detail).partition("; ")
        return respond(error.status_code, problem, remedy, **(error.headers or {}))
