"""The route of uploads: recordings, whose size is counted as they arrive."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Header, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mechanical_ears.errors import SoundError
from mechanical_ears.explore import routes, schemas
from mechanical_ears.explore.routes import MAX_UPLOAD_BYTES, Service
from mechanical_ears.explore.worker_pool import BusyError

MAX_UPLOAD_SECONDS: Final = 60.0  # s in which an upload must arrive
MAX_UPLOADS: Final = 3  # at once
MAX_NAME_LENGTH: Final = 80  # characters of a file's name
ANY_TYPE: Final = "application/octet-stream"
MEDIA_TYPES: Final = ("audio/", ANY_TYPE, "application/ogg", "video/ogg")

router = APIRouter(prefix="/api", responses=routes.PROBLEMS)
_uploads = asyncio.Semaphore(MAX_UPLOADS)

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", ANY_TYPE)
        },
    }
}


@router.post(
    "/recordings",
    openapi_extra=_BODY,
    responses={415: {"model": schemas.Problem, "description": "Not a sound that can be read"}},
)
async def upload_recording(
    request: Request,
    service: Service,
    x_file_name: Annotated[str, Header(max_length=1000, description="percent-encoded")] = "",
) -> schemas.Recording:
    """Hear a recording, place it on the map, and imagine an instrument like it."""
    media_type = request.headers.get("content-type", ANY_TYPE).lower()
    if not media_type.startswith(MEDIA_TYPES):
        shown = media_type[:MAX_NAME_LENGTH]
        raise HTTPException(415, f'"{shown}" is not a sound; use a WAV, FLAC, Ogg or MP3 file')
    if _uploads.locked():
        raise BusyError("other recordings are being uploaded", remedy="try again in a second")
    async with _uploads:
        data = await _read_body(request)
        name = unquote(x_file_name).replace("\\", "/").rpartition("/")[2].strip()[:MAX_NAME_LENGTH]
        name = "".join(letter for letter in name if letter.isprintable()) or "a recording"
        try:
            recording = await routes.while_connected(request, service.analyse_recording(data, name))
        except SoundError as error:
            text = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
            raise HTTPException(415, f"this file {text}") from error
    return schemas.Recording(
        heard=schemas.Hearing(**recording.hearing),
        x=recording.x,
        y=recording.y,
        nearest=recording.nearest,
        instrument=None if recording.instrument is None else routes.to_schema(recording.instrument),
        problem=recording.problem,
    )


async def _read_body(request: Request) -> bytes:
    """The bytes of a recording.

    Raises:
        HTTPException: it is empty, too large or too slow.
    """
    too_large = HTTPException(
        413, f"the recording is larger than {MAX_UPLOAD_BYTES >> 20} MB; cut it to its first note"
    )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_UPLOAD_BYTES:
        raise too_large
    data = bytearray()
    try:
        async with asyncio.timeout(MAX_UPLOAD_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_UPLOAD_BYTES:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, "the recording arrived too slowly") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the upload was interrupted") from error
    if not data:
        raise HTTPException(415, "the recording is empty; use a WAV, FLAC, Ogg or MP3 file")
    return bytes(data)
