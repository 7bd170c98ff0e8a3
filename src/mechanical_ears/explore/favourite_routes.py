"""Routes of favourites."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from mechanical_ears.explore import schemas
from mechanical_ears.explore.routes import NOT_FOUND, PROBLEMS, Service, to_schema
from mechanical_ears.explore.service import OpenFavourite

router = APIRouter(prefix="/api", responses=PROBLEMS)

FavouriteNumber = Annotated[int, Path(ge=1, lt=2**53)]


def to_favourite(favourite: OpenFavourite) -> schemas.Favourite:
    """A favourite as the API returns it."""
    row, instrument = favourite.row, favourite.instrument
    return schemas.Favourite(
        favourite=row.number,
        name=row.name,
        added=row.added,
        instrument=None if instrument is None else to_schema(instrument),
        problem=favourite.problem,
        seed=row.patch["seed"],
        family=row.patch["family"],
    )


@router.get("/favourites")
async def list_favourites(service: Service) -> list[schemas.Favourite]:
    """Return all favourites, newest first."""
    return [to_favourite(service.open_favourite(row)) for row in service.favourites.all()]


@router.post("/favourites", status_code=201, responses=NOT_FOUND)
async def add_favourite(favourite: schemas.NewFavourite, service: Service) -> schemas.Favourite:
    """Add an open instrument to the favourites."""
    return to_favourite(service.add_favourite(favourite.id, favourite.name))


@router.patch("/favourites/{favourite}", responses=NOT_FOUND)
async def rename_favourite(
    favourite: FavouriteNumber, new: schemas.FavouriteName, service: Service
) -> schemas.Favourite:
    """Rename a favourite."""
    row = service.favourites.rename(favourite, new.name)
    return to_favourite(service.open_favourite(row))


@router.delete("/favourites/{favourite}", status_code=204, responses=NOT_FOUND)
async def remove_favourite(favourite: FavouriteNumber, service: Service) -> None:
    """Remove a favourite."""
    service.favourites.remove(favourite)
