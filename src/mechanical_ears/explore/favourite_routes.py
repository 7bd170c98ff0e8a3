"""The routes of what is kept: exports and favourites."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from mechanical_ears.explore import schemas
from mechanical_ears.explore.export_queue import Exports, Job
from mechanical_ears.explore.routes import PROBLEMS, UNKNOWN, Here, attachment, told
from mechanical_ears.explore.service import Kept

router = APIRouter(prefix="/api", responses=PROBLEMS)

JobId = Annotated[schemas.Id, Path()]
Number = Annotated[int, Path(ge=1, lt=2**53)]


async def exports(request: Request) -> Exports:
    """The exports of the server that was asked."""
    found: Exports = request.app.state.exports
    return found


Shop = Annotated[Exports, Depends(exports)]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}, "application/zip": {}}},
    409: {"model": schemas.Problem, "description": "It is not done"},
}
_MANY: dict[int | str, dict[str, Any]] = {
    429: {"model": schemas.Problem, "description": "Too many exports wait"}
}


def state(job: Job) -> schemas.Export:
    """An export as it travels."""
    return schemas.Export(
        state=job.state, progress=job.progress, problem=job.problem, size=job.size
    )


@router.post("/exports", status_code=202, responses={**UNKNOWN, **_MANY})
async def export(wish: schemas.Wish, here: Here, shop: Shop) -> schemas.Job:
    """Ask for an instrument as a sampler's file."""
    playing = here.opened(wish.id).playing
    return schemas.Job(job=shop.add(playing, wish.model_dump(exclude={"id"})).job)


@router.get("/exports/{job}", responses=UNKNOWN)
async def exported(job: JobId, shop: Shop) -> schemas.Export:
    """How far an export is; one that nobody asks about is cancelled after some minutes."""
    return state(shop.job(job))


@router.delete("/exports/{job}", responses=UNKNOWN)
async def cancel(job: JobId, shop: Shop) -> schemas.Export:
    """Cancel an export, or throw away what it made."""
    return state(shop.cancel(job))


@router.get("/exports/{job}/file", response_class=FileResponse, responses={**UNKNOWN, **_FILE})
async def file(job: JobId, shop: Shop) -> FileResponse:
    """The file: an .sf2, or a .zip with an .sfz or .dspreset and its samples."""
    found = shop.job(job)
    if found.file is None:
        raise HTTPException(409, f"the export is {found.state}, there is no file")
    kind = "application/zip" if found.file.suffix == ".zip" else "application/octet-stream"
    headers = {"Content-Disposition": attachment(found.file.name)}
    return FileResponse(found.file, media_type=kind, headers=headers)


def row(kept: Kept) -> schemas.Favourite:
    """A favourite as it travels."""
    return schemas.Favourite(
        favourite=kept.favourite.favourite,
        name=kept.favourite.name,
        added=kept.favourite.added,
        instrument=None if kept.instrument is None else told(kept.instrument),
        problem=kept.problem,
        seed=kept.favourite.about["seed"],
        family=kept.favourite.about["family"],
    )


@router.get("/favourites")
async def favourites(here: Here) -> list[schemas.Favourite]:
    """All favourites, the newest first."""
    return [row(here.kept(each)) for each in here.favourites.all()]


@router.post("/favourites", status_code=201, responses=UNKNOWN)
async def keep(wish: schemas.Keeping, here: Here) -> schemas.Favourite:
    """Keep an open instrument."""
    return row(here.keep(wish.id, wish.name))


@router.patch("/favourites/{favourite}", responses=UNKNOWN)
async def rename(favourite: Number, wish: schemas.Renaming, here: Here) -> schemas.Favourite:
    """Give a favourite another name."""
    return row(here.kept(here.favourites.rename(favourite, wish.name)))


@router.delete("/favourites/{favourite}", status_code=204, responses=UNKNOWN)
async def forget(favourite: Number, here: Here) -> None:
    """Keep a favourite no longer."""
    here.favourites.remove(favourite)
