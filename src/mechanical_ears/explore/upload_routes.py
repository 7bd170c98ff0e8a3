"""The route that takes recordings: counted as they come, not as they are said to be."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Header, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mechanical_ears.errors import SoundError
from mechanical_ears.explore import schemas
from mechanical_ears.explore.routes import (
    PROBLEMS,
    UPLOAD_BYTES,
    Here,
    told,
    while_connected,
)
from mechanical_ears.explore.worker_pool import BusyError

SECONDS: Final = 60.0  # in which an upload must be there
AT_ONCE: Final = 3  # uploads
NAME: Final = 80  # characters of a file's name that are kept
TYPES: Final = ("audio/", "application/octet-stream", "application/ogg", "video/ogg")

router = APIRouter(prefix="/api", responses=PROBLEMS)
_under_way = asyncio.Semaphore(AT_ONCE)

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", TYPES[1])
        },
    }
}


@router.post(
    "/recordings",
    openapi_extra=_BODY,
    responses={415: {"model": schemas.Problem, "description": "No sound that can be read"}},
)
async def record(
    request: Request,
    here: Here,
    x_file_name: Annotated[str, Header(max_length=1000, description="percent-encoded")] = "",
) -> schemas.Recording:
    """Hear a recording, place it on the map, and imagine an instrument like it."""
    kind = request.headers.get("content-type", TYPES[1]).lower()
    if not kind.startswith(TYPES):
        raise HTTPException(415, f'"{kind[:NAME]}" is no sound; give a WAV, FLAC, Ogg or MP3 file')
    if _under_way.locked():
        raise BusyError("other recordings are being sent", remedy="try again in a second")
    async with _under_way:
        data = await _body(request)
        name = unquote(x_file_name).replace("\\", "/").rpartition("/")[2].strip()[:NAME]
        name = "".join(letter for letter in name if letter.isprintable())
        try:
            made = await while_connected(request, here.record(data, name or "a recording"))
        except SoundError as error:
            words = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
            raise HTTPException(415, f"this file {words}") from error
    return schemas.Recording(
        heard=schemas.Hearing(**made.heard),
        x=made.x,
        y=made.y,
        nearest=[schemas.Near(id=n.id, name=n.name, likeness=n.likeness) for n in made.nearest],
        instrument=None if made.instrument is None else told(made.instrument),
        problem=made.problem,
    )


async def _body(request: Request) -> bytes:
    """The bytes of a recording.

    Raises:
        HTTPException: they are none, too many or too slow.
    """
    most = f"{UPLOAD_BYTES >> 20} MB"
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > UPLOAD_BYTES:
        raise HTTPException(413, f"the recording is larger than {most}; cut it to its first note")
    data = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > UPLOAD_BYTES:
                    raise HTTPException(
                        413, f"the recording is larger than {most}; cut it to its first note"
                    )
    except TimeoutError as error:
        raise HTTPException(408, "the recording came too slowly") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the recording broke off") from error
    if not data:
        raise HTTPException(415, "the recording is empty; give a WAV, FLAC, Ogg or MP3 file")
    return bytes(data)
