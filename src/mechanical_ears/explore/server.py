"""The server: HTTP around the studio.

    page ── HTTP ── guard ── routes ── studio ── rendering ── workers

Errors are JSON, ``{"problem", "remedy"}``.
"""

from __future__ import annotations

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
from mechanical_ears.explore import routes
from mechanical_ears.explore.rendering import BusyError, Rendering
from mechanical_ears.explore.space import SHIPPED, SpaceMap
from mechanical_ears.explore.studio import Studio, UnknownError

STATIC: Final = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Settings:
    """How a server is set up.

    Attributes:
        model: folder of weights; None for the shipped ones.
        workers: processes; None for one a core.
    """

    model: Path | None = None
    workers: int | None = None


def create_app(settings: Settings) -> FastAPI:
    """The application; its workers start with it and end with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        rendering = Rendering(settings.model, settings.workers)
        weights = await rendering.start()
        space = SpaceMap.load(SHIPPED)
        if space.weights != weights.sha256:
            space = None
        app.state.studio = Studio(rendering, weights, space)
        try:
            yield
        finally:
            await rendering.stop()

    app = FastAPI(
        title="Mechanical Ears, explore",
        version=mechanical_ears.__version__,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.include_router(routes.router)
    app.mount("/static", Static(directory=STATIC), name="static")
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
        return answer(404 if isinstance(error, UnknownError) else 422, error.problem, error.remedy)

    @app.exception_handler(RequestValidationError)
    async def values(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return answer(422, f"{place}: {first['msg']}", "see /api/openapi.json")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            {"problem": str(error.detail), "remedy": ""}, error.status_code, error.headers
        )
