"""The routes under /api: each takes a request apart and hands it to the studio."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.exceptions import HTTPException

import mechanical_ears
from mechanical_ears.explore import schemas
from mechanical_ears.explore.corpus_instruments import Recorded
from mechanical_ears.explore.hearing import RECORDING_SECONDS
from mechanical_ears.explore.open_instruments import Opened
from mechanical_ears.explore.service import Studio
from mechanical_ears.explore.worker_tasks import SAMPLE_RATE
from mechanical_ears.imagining.imagine import MAX_DEVIATIONS
from mechanical_ears.note import FAMILIES, HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH

T = TypeVar("T")

POLYPHONY = 32
LAYERS = [40, 80, 120]  # MIDI velocities
FORMATS = ["sfz", "sf2", "dspreset"]
UPLOAD_BYTES = 48 << 20  # of a recording
GONE = 499  # status that servers note where the client has closed the connection

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.Problem, "description": "No JSON"},
    401: {"model": schemas.Problem, "description": "A token is needed"},
    403: {"model": schemas.Problem, "description": "Another site asks"},
    405: {"model": schemas.Problem, "description": "No such method"},
    408: {"model": schemas.Problem, "description": "Too slow"},
    413: {"model": schemas.Problem, "description": "Too large"},
    421: {"model": schemas.Problem, "description": "Not the name of this server"},
    422: {"model": schemas.Problem, "description": "Bad values"},
    503: {"model": schemas.Problem, "description": "Busy; try again after Retry-After seconds"},
}
UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": schemas.Problem, "description": "Unknown"}
}

router = APIRouter(prefix="/api", responses=PROBLEMS)


async def studio(request: Request) -> Studio:
    """The studio of the server that was asked."""
    # Async, though it waits for nothing: plain functions are called in a thread, which costs 1 ms.
    found: Studio = request.app.state.studio
    return found


Here = Annotated[Studio, Depends(studio)]
InstrumentId = Annotated[schemas.Id, Path()]


async def while_connected(request: Request, answer: Awaitable[T]) -> T:
    """The answer, unless who asked has gone: then it is no longer waited for.

    Raises:
        HTTPException: who asked has gone; nobody gets to see it.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    wanted = asyncio.ensure_future(answer)
    left = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({wanted, left}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise HTTPException(GONE, "who asked for it has gone")
        return await wanted
    finally:
        wanted.cancel()
        left.cancel()


def attachment(name: str) -> str:
    """The Content-Disposition of a file that is to be saved (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def told(opened: Opened) -> schemas.Instrument:
    """An instrument as it travels."""
    return schemas.Instrument(
        id=opened.id,
        name=opened.playing.name,
        family=opened.playing.family,
        kind=1 if isinstance(opened.playing, Recorded) else 0,
        recipe=dict(opened.recipe),
        x=opened.x,
        y=opened.y,
        novelty=opened.novelty,
        heard=None if opened.heard is None else schemas.Impression.model_validate(opened.heard),
        licence=opened.playing.licence,
    )


@router.get("/about")
async def about(here: Here) -> schemas.About:
    """What the server is and what it can do."""
    return schemas.About(
        version=mechanical_ears.__version__,
        weights=here.weights.sha256[:12],
        licence=here.weights.licence,
        families=list(FAMILIES),
        qualities=list(here.weights.qualities),
        farthest=MAX_DEVIATIONS,
        sample_rate=SAMPLE_RATE,
        seconds=NOTE_SECONDS,
        held=HOLD_SECONDS,
        lowest=PIANO_MIN_PITCH,
        highest=PIANO_MAX_PITCH,
        layers=LAYERS,
        polyphony=POLYPHONY,
        formats=FORMATS,
        upload=schemas.Upload(bytes=UPLOAD_BYTES, seconds=RECORDING_SECONDS),
        points=here.points,
        mapping=None if here.mapping is None else schemas.Mapping(**here.mapping),
        corpus=here.corpus,
    )


@router.get(
    "/space",
    response_model=schemas.Space,
    responses={304: {"description": "The same as the ETag that was given"}},
)
async def space(request: Request, here: Here) -> Response:
    """The map, gzipped for those who take it."""
    columns = here.columns()
    headers = {"ETag": columns.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if columns.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(columns.plain, media_type="application/json", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(columns.packed, media_type="application/json", headers=headers)


@router.post("/instruments", responses=UNKNOWN)
async def open_instrument(
    request: Request, recipe: schemas.Recipe, here: Here
) -> schemas.Instrument:
    """Open an instrument; the same recipe opens the same one."""
    turn = dict(recipe.turn or {})
    if recipe.blend is not None:
        parts = [(part.id, part.weight) for part in recipe.blend]
        return told(await while_connected(request, here.blend(parts, turn)))
    if recipe.share is not None:
        return told(await while_connected(request, here.shared(recipe.share, turn)))
    if recipe.id is not None:
        return told(await while_connected(request, here.turned(recipe.id, turn)))
    opened = here.seed(recipe.seed, recipe.family, recipe.draw, turn)
    return told(await while_connected(request, opened))


@router.get("/instruments/{instrument}", responses=UNKNOWN)
async def instrument(instrument: InstrumentId, here: Here) -> schemas.Instrument:
    """An open instrument, or one of the map."""
    return told(here.opened(instrument))


@router.get("/instruments/{instrument}/hearing", responses=UNKNOWN)
async def hearing(request: Request, instrument: InstrumentId, here: Here) -> schemas.Instrument:
    """An instrument with what the ears hear in it."""
    return told(await while_connected(request, here.hear(instrument)))


@router.get(
    "/instruments/{instrument}/share",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "A file"}, **UNKNOWN},
)
async def share(request: Request, instrument: InstrumentId, here: Here) -> Response:
    """An instrument as a file that somebody else can open."""
    name, data = await while_connected(request, here.share(instrument))
    headers = {"Content-Disposition": attachment(f"{name}.json")}
    return Response(data, media_type="application/json", headers=headers)


@router.get(
    "/instruments/{instrument}/notes/{pitch}/{velocity}",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}, "description": "16 bit, mono"}, **UNKNOWN},
)
async def note(
    request: Request,
    instrument: InstrumentId,
    pitch: Annotated[int, Path(ge=0, le=127, description="MIDI number")],
    velocity: Annotated[int, Path(ge=1, le=127, description="MIDI velocity")],
    here: Here,
    seconds: Annotated[float, Query(ge=0.1, le=8, description="release included")] = NOTE_SECONDS,
) -> Response:
    """A note."""
    wav = await while_connected(request, here.note(instrument, pitch, velocity, seconds))
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(wav, media_type="audio/wav", headers=headers)
