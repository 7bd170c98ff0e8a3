"""Routes of exports for samplers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from mechanical_ears.explore import schemas
from mechanical_ears.explore.export_queue import Export, ExportQueue
from mechanical_ears.explore.routes import NOT_FOUND, PROBLEMS, Responses, Service, attachment

router = APIRouter(prefix="/api", responses=PROBLEMS)

_FILE_RESPONSES: Responses = {
    200: {"content": {"application/octet-stream": {}, "application/zip": {}}},
    409: {"model": schemas.Problem, "description": "Not done yet"},
}
_TOO_MANY: Responses = {429: {"model": schemas.Problem, "description": "Too many exports wait"}}


async def get_exports(request: Request) -> ExportQueue:
    """The exports of the application."""
    exports: ExportQueue = request.app.state.exports
    return exports


Exports = Annotated[ExportQueue, Depends(get_exports)]
ExportId = Annotated[schemas.Id, Path()]


def to_status(export: Export) -> schemas.ExportStatus:
    """An export as the API returns it."""
    values = {name: getattr(export, name) for name in schemas.ExportStatus.model_fields}
    return schemas.ExportStatus(**values)


@router.post("/exports", status_code=202, responses={**NOT_FOUND, **_TOO_MANY})
async def start_export(
    options: schemas.ExportRequest, service: Service, exports: Exports
) -> schemas.StartedExport:
    """Start to export an instrument for a sampler."""
    data = service.instrument(options.id).data
    return schemas.StartedExport(job=exports.add(data, options.model_dump(exclude={"id"})).id)


@router.get("/exports/{job}", responses=NOT_FOUND)
async def export_status(job: ExportId, exports: Exports) -> schemas.ExportStatus:
    """Return the state of an export; without such requests it is cancelled after some minutes."""
    return to_status(exports.get(job))


@router.delete("/exports/{job}", responses=NOT_FOUND)
async def cancel_export(job: ExportId, exports: Exports) -> schemas.ExportStatus:
    """Cancel an export, or remove its file."""
    return to_status(exports.cancel(job))


@router.get(
    "/exports/{job}/file", response_class=FileResponse, responses={**NOT_FOUND, **_FILE_RESPONSES}
)
async def export_file(job: ExportId, exports: Exports) -> FileResponse:
    """Return the file: an .sf2, or a .zip with an .sfz or .dspreset and its samples."""
    export = exports.get(job)
    if export.file is None:
        raise HTTPException(409, f"the export is {export.state}, there is no file")
    media_type = "application/zip" if export.file.suffix == ".zip" else "application/octet-stream"
    headers = {"Content-Disposition": attachment(export.file.name)}
    return FileResponse(export.file, media_type=media_type, headers=headers)
