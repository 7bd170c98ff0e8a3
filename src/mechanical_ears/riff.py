"""RIFF, the container of WAV and SoundFont 2 files: walking its chunks and writing them.

A file is one chunk ``RIFF``, whose data are a form type (``WAVE``, ``sfbk``) and further chunks.
A chunk is a name of four characters, the length of its data (32 bits, little-endian), the data, and
a zero byte where the length is odd. A chunk ``LIST`` holds a type of four characters and further
chunks. (Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991.)
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from mmap import mmap
from typing import BinaryIO, NamedTuple

HEADER_BYTES = 12  # of a RIFF file: name, length, form type
MAX_BYTES = 2**32 - 1  # of a chunk's data


class RiffHeader(NamedTuple):
    """The first bytes of a RIFF file.

    Attributes:
        form: form type, ``WAVE`` or ``sfbk``.
        end: length of the file in bytes by its header; a truncated file is shorter.
    """

    form: str
    end: int


class Chunk(NamedTuple):
    """A chunk of a RIFF file.

    Attributes:
        name: four characters.
        start: position of its data in the file, in bytes.
        end: position one past its data.
        missing: bytes of its data beyond the end of the file or of the list that holds it.
    """

    name: str
    start: int
    end: int
    missing: int


def read_header(file: BinaryIO | mmap) -> RiffHeader | None:
    """Header of a RIFF file; None for any other file (RF64, for files above 4 GB, included)."""
    file.seek(0)
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[:4] != b"RIFF":
        return None
    return RiffHeader(header[8:].decode("latin-1"), 8 + struct.unpack_from("<I", header, 4)[0])


def walk_chunks(
    file: BinaryIO | mmap, start: int = HEADER_BYTES, end: int | None = None
) -> Iterator[Chunk]:
    """Walk the chunks between two positions of a file.

    A chunk that reaches beyond ``end`` is the last one and is cut there.

    Args:
        file: an open file or a memory map; its position is moved.
        start: position of the first chunk in bytes; by default that behind a RIFF header.
        end: position one past the last chunk; None for the end of the file.
    """
    if end is None:
        file.seek(0, io.SEEK_END)
        end = file.tell()
    while start + 8 <= end:
        file.seek(start)
        name, length = struct.unpack("<4sI", file.read(8))
        start += 8
        missing = max(0, start + length - end)
        yield Chunk(name.decode("latin-1"), start, start + length - missing, missing)
        start += length + length % 2


def read_chunk(file: BinaryIO | mmap, chunk: Chunk) -> bytes:
    """Data of a chunk."""
    file.seek(chunk.start)
    return file.read(chunk.end - chunk.start)


def encode_chunk(name: str, *data: bytes) -> bytes:
    """Bytes of a chunk.

    Args:
        name: four characters.
        data: its data, in parts that are joined.
    """
    length = sum(len(part) for part in data)
    return b"".join([struct.pack("<4sI", name.encode("ascii"), length), *data, bytes(length % 2)])


def encode_list(kind: str, *chunks: bytes) -> bytes:
    """Bytes of a ``LIST`` of chunks of a type such as ``INFO``."""
    return encode_chunk("LIST", kind.encode("ascii"), *chunks)


def encode_riff(form: str, *chunks: bytes) -> bytes:
    """Bytes of a RIFF file of a form type such as ``WAVE``."""
    return encode_chunk("RIFF", form.encode("ascii"), *chunks)
