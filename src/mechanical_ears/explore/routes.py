"""The routes under /api: each takes a request apart and hands it to the studio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response

import mechanical_ears
from mechanical_ears.explore import models
from mechanical_ears.explore.instruments import Opened
from mechanical_ears.explore.space import SpaceMap
from mechanical_ears.explore.studio import Studio
from mechanical_ears.explore.tasks import SAMPLE_RATE
from mechanical_ears.imagining.imagine import FARTHEST
from mechanical_ears.note import FAMILIES, HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import PIANO_HIGHEST, PIANO_LOWEST

T = TypeVar("T")

POLYPHONY = 32
LAYERS = [40, 80, 120]  # MIDI velocities
FORMATS = ["sfz", "sf2", "dspreset"]

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": models.Problem, "description": "Bad values"},
    503: {"model": models.Problem, "description": "Busy; try again after Retry-After seconds"},
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": models.Problem, "description": "Unknown"}
}

router = APIRouter(prefix="/api", responses=_PROBLEMS)


def studio(request: Request) -> Studio:
    """The studio of the server that was asked."""
    found: Studio = request.app.state.studio
    return found


Here = Annotated[Studio, Depends(studio)]
InstrumentId = Annotated[models.Id, Path()]


async def while_connected(request: Request, answer: Awaitable[T]) -> T:
    """The answer, unless who asked has gone: then it is no longer waited for."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    wanted = asyncio.ensure_future(answer)
    left = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({wanted, left}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            wanted.cancel()
        return await wanted
    finally:
        wanted.cancel()
        left.cancel()


def told(opened: Opened) -> models.Instrument:
    """An instrument as it travels."""
    return models.Instrument(
        id=opened.id,
        name=opened.patch.name,
        family=opened.patch.family,
        kind=0,
        recipe=dict(opened.recipe),
        x=opened.x,
        y=opened.y,
        novelty=opened.novelty,
        heard=None if opened.heard is None else models.Impression.model_validate(opened.heard),
        licence=opened.patch.licence,
    )


@router.get("/about")
async def about(here: Here) -> models.About:
    """What the server is and what it can do."""
    return models.About(
        version=mechanical_ears.__version__,
        weights=here.weights.sha256[:12],
        licence=here.weights.licence,
        families=list(FAMILIES),
        qualities=list(here.weights.qualities),
        farthest=FARTHEST,
        sample_rate=SAMPLE_RATE,
        seconds=NOTE_SECONDS,
        held=HOLD_SECONDS,
        lowest=PIANO_LOWEST,
        highest=PIANO_HIGHEST,
        layers=LAYERS,
        polyphony=POLYPHONY,
        formats=FORMATS,
        upload=models.Upload(bytes=32 << 20, seconds=60),
        points=0 if here.space is None else len(here.space),
        mapping=None,
        corpus=None,
    )


@router.get("/space")
async def space(here: Here) -> models.Space:
    """The map."""
    return columns(here.space)


def columns(space: SpaceMap | None) -> models.Space:
    """A map as it travels."""
    if space is None:
        return models.Space(id=[], name=[], x=[], y=[], family=[], kind=[], novelty=[], nearest=[])
    return models.Space(
        id=list(space.ids),
        name=[space.name(row) for row in range(len(space))],
        x=[round(float(x), 4) for x in space.places[:, 0]],
        y=[round(float(y), 4) for y in space.places[:, 1]],
        family=[int(each) for each in space.families],
        kind=[0] * len(space),
        novelty=[round(float(each), 3) for each in space.novelty],
        nearest=[space.axes.known[each] for each in space.nearest],
    )


@router.post("/instruments", responses=_UNKNOWN)
async def open_instrument(
    request: Request, recipe: models.Recipe, here: Here
) -> models.Instrument:
    """Open an instrument; the same recipe opens the same one."""
    turn = dict(recipe.turn or {})
    if recipe.blend is not None:
        parts = [(part.id, part.weight) for part in recipe.blend]
        return told(await while_connected(request, here.blend(parts, turn)))
    if recipe.id is not None:
        return told(await while_connected(request, here.turned(recipe.id, turn)))
    opened = here.seed(recipe.seed, recipe.family, recipe.draw, turn)
    return told(await while_connected(request, opened))


@router.get("/instruments/{instrument}", responses=_UNKNOWN)
async def instrument(instrument: InstrumentId, here: Here) -> models.Instrument:
    """An open instrument, or one of the map."""
    return told(here.opened(instrument))


@router.get("/instruments/{instrument}/hearing", responses=_UNKNOWN)
async def hearing(request: Request, instrument: InstrumentId, here: Here) -> models.Instrument:
    """An instrument with what the ears hear in it."""
    return told(await while_connected(request, here.hear(instrument)))


@router.get(
    "/instruments/{instrument}/notes/{pitch}/{velocity}",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}, "description": "16 bit, mono"}, **_UNKNOWN},
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
