"""Routes of the server's description, the map, and instruments; what all routes share."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.exceptions import HTTPException

import mechanical_ears
from mechanical_ears.explore import schemas
from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.explore.hearing import MAX_RECORDING_SECONDS
from mechanical_ears.explore.open_instruments import OpenInstrument
from mechanical_ears.explore.service import ExploreService
from mechanical_ears.explore.worker_tasks import SAMPLE_RATE
from mechanical_ears.imagining.imagine import MAX_DEVIATIONS
from mechanical_ears.note import FAMILIES, HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH

T = TypeVar("T")
Responses = dict[int | str, dict[str, Any]]  # descriptions by status

POLYPHONY: Final = 32  # notes at once
LAYERS: Final = [40, 80, 120]  # MIDI velocities
FORMATS: Final = ["sfz", "sf2", "dspreset"]
MAX_UPLOAD_BYTES: Final = 48 << 20  # bytes of a recording
CLIENT_CLOSED_REQUEST: Final = 499  # customary status of a request whose client has disconnected

PROBLEMS: Responses = {
    400: {"model": schemas.Problem, "description": "Not JSON"},
    401: {"model": schemas.Problem, "description": "A token is required"},
    403: {"model": schemas.Problem, "description": "Sent by another site"},
    405: {"model": schemas.Problem, "description": "No such method"},
    408: {"model": schemas.Problem, "description": "Too slow"},
    413: {"model": schemas.Problem, "description": "Too large"},
    421: {"model": schemas.Problem, "description": "Not an address of the server"},
    422: {"model": schemas.Problem, "description": "Invalid values"},
    503: {"model": schemas.Problem, "description": "Busy; retry after Retry-After seconds"},
}
NOT_FOUND: Responses = {404: {"model": schemas.Problem, "description": "Unknown"}}

router = APIRouter(prefix="/api", responses=PROBLEMS)


async def get_service(request: Request) -> ExploreService:
    """The service of the application."""
    # Async, since FastAPI calls plain functions in a thread, which takes 1 ms.
    service: ExploreService = request.app.state.service
    return service


Service = Annotated[ExploreService, Depends(get_service)]
InstrumentId = Annotated[schemas.Id, Path()]


async def while_connected(request: Request, awaitable: Awaitable[T]) -> T:
    """Await a result, and cancel it if the client disconnects.

    Raises:
        HTTPException: the client has disconnected; nobody gets to see it.
    """

    async def wait_for_disconnect() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    result = asyncio.ensure_future(awaitable)
    disconnect = asyncio.ensure_future(wait_for_disconnect())
    try:
        await asyncio.wait({result, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise HTTPException(CLIENT_CLOSED_REQUEST, "the client has disconnected")
        return await result
    finally:
        result.cancel()
        disconnect.cancel()


def attachment(name: str) -> str:
    """The Content-Disposition of a download (RFC 6266)."""
    ascii_name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "file"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"


def to_schema(instrument: OpenInstrument) -> schemas.Instrument:
    """An open instrument as the API returns it."""
    hearing = instrument.hearing
    return schemas.Instrument(
        id=instrument.id,
        name=instrument.data.name,
        family=instrument.data.family,
        kind=1 if isinstance(instrument.data, CorpusInstrument) else 0,
        recipe=dict(instrument.recipe),
        x=instrument.x,
        y=instrument.y,
        novelty=instrument.novelty,
        heard=None if hearing is None else schemas.InstrumentHearing.model_validate(hearing),
        licence=instrument.data.licence,
    )


@router.get("/about")
async def about(service: Service) -> schemas.About:
    """Describe the server and its limits."""
    progress = service.map_progress
    return schemas.About(
        version=mechanical_ears.__version__,
        weights=service.weights.sha256[:12],
        licence=service.weights.licence,
        families=list(FAMILIES),
        qualities=list(service.weights.qualities),
        farthest=MAX_DEVIATIONS,
        sample_rate=SAMPLE_RATE,
        seconds=NOTE_SECONDS,
        held=HOLD_SECONDS,
        lowest=PIANO_MIN_PITCH,
        highest=PIANO_MAX_PITCH,
        layers=LAYERS,
        polyphony=POLYPHONY,
        formats=FORMATS,
        upload=schemas.UploadLimits(bytes=MAX_UPLOAD_BYTES, seconds=MAX_RECORDING_SECONDS),
        points=service.points,
        mapping=None if progress is None else schemas.MapProgress(**progress),
        corpus=service.corpus_title,
    )


@router.get(
    "/space",
    response_model=schemas.MapColumns,
    responses={304: {"description": "Not modified: the ETag is the same"}},
)
async def space(request: Request, service: Service) -> Response:
    """Return the map, gzipped for clients that accept it."""
    map_json = service.map_json()
    headers = {"ETag": map_json.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if map_json.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(map_json.plain, media_type="application/json", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(map_json.gzipped, media_type="application/json", headers=headers)


@router.post("/instruments", responses=NOT_FOUND)
async def open_instrument(
    request: Request, recipe: schemas.Recipe, service: Service
) -> schemas.Instrument:
    """Open an instrument; the same recipe opens the same one."""
    changes = dict(recipe.turn or {})
    if recipe.blend is not None:
        opened = service.open_blend([(part.id, part.weight) for part in recipe.blend], changes)
    elif recipe.share is not None:
        opened = service.open_shared(recipe.share, changes)
    elif recipe.id is not None:
        opened = service.open_changed(recipe.id, changes)
    else:
        opened = service.open_seed(recipe.seed, recipe.family, recipe.candidate, changes)
    return to_schema(await while_connected(request, opened))


@router.get("/instruments/{instrument}", responses=NOT_FOUND)
async def instrument(instrument: InstrumentId, service: Service) -> schemas.Instrument:
    """Return an open instrument, or one of the map."""
    return to_schema(service.instrument(instrument))


@router.get("/instruments/{instrument}/hearing", responses=NOT_FOUND)
async def hearing(
    request: Request, instrument: InstrumentId, service: Service
) -> schemas.Instrument:
    """Return an instrument with what the ears hear in it."""
    return to_schema(await while_connected(request, service.hear(instrument)))


@router.get(
    "/instruments/{instrument}/share",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "A file"}, **NOT_FOUND},
)
async def share(request: Request, instrument: InstrumentId, service: Service) -> Response:
    """Return an instrument as a file that somebody else can open."""
    name, data = await while_connected(request, service.share(instrument))
    headers = {"Content-Disposition": attachment(f"{name}.json")}
    return Response(data, media_type="application/json", headers=headers)


@router.get(
    "/instruments/{instrument}/notes/{pitch}/{velocity}",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}, "description": "16 bit, mono"}, **NOT_FOUND},
)
async def note(
    request: Request,
    instrument: InstrumentId,
    pitch: Annotated[int, Path(ge=0, le=127, description="MIDI number")],
    velocity: Annotated[int, Path(ge=1, le=127, description="MIDI velocity")],
    service: Service,
    seconds: Annotated[
        float, Query(ge=0.1, le=8, description="s, including the release")
    ] = NOTE_SECONDS,
) -> Response:
    """Return a note."""
    wav = await while_connected(request, service.note(instrument, pitch, velocity, seconds))
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(wav, media_type="audio/wav", headers=headers)
