"""RIFF files: what is written is what is read; truncated files are read as far as they go."""

import io
import mmap

import numpy as np
import pytest
import soundfile

from mechanical_ears.riff import (
    Chunk,
    encode_chunk,
    encode_list,
    encode_riff,
    read_chunk,
    read_header,
    walk_chunks,
)

FILE = encode_riff(
    "WAVE",
    encode_chunk("odd ", b"a", b"bc"),
    encode_list("INFO", encode_chunk("INAM", b"name\0\0")),
)


def test_bytes_are_those_of_the_specification():
    expected = (
        b"RIFF" + (4 + 8 + 4 + 8 + 4 + 8 + 6).to_bytes(4, "little") + b"WAVE"
        b"odd \x03\0\0\0abc\0"
        b"LIST\x12\0\0\0INFO"
        b"INAM\x06\0\0\0name\0\0"
    )  # fmt: skip
    assert expected == FILE


@pytest.mark.parametrize("mapped", [True, False])
def test_chunks_are_walked(tmp_path, mapped):
    (tmp_path / "a.wav").write_bytes(FILE)
    with (tmp_path / "a.wav").open("rb") as opened:
        file = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) if mapped else opened
        assert read_header(file) == ("WAVE", len(FILE))
        odd, info = walk_chunks(file)
        assert (odd.name, read_chunk(file, odd)) == ("odd ", b"abc")
        assert (info.name, info.missing) == ("LIST", 0)
        (name,) = walk_chunks(file, info.start + 4, info.end)
        assert (name.name, read_chunk(file, name)) == ("INAM", b"name\0\0")


def test_a_truncated_chunk_says_what_is_missing():
    file = io.BytesIO(FILE[:22])
    assert list(walk_chunks(file)) == [Chunk("odd ", 20, 22, 1)]
    assert read_chunk(file, Chunk("odd ", 20, 22, 1)) == b"ab"
    assert list(walk_chunks(io.BytesIO(FILE[:16]))) == []
    oversized = io.BytesIO(b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xffab")
    assert list(walk_chunks(oversized)) == [Chunk("data", 20, 22, 2**32 - 3)]


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RF64" + bytes(8), b"RIFX" + bytes(8)])
def test_other_files_have_no_header(data):
    assert read_header(io.BytesIO(data)) is None


def test_the_chunks_of_libsndfile(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(7), 8000, subtype="PCM_U8")
    with (tmp_path / "a.wav").open("rb") as file:
        chunks = {chunk.name: chunk.end - chunk.start for chunk in walk_chunks(file)}
    assert chunks["data"] == 7
    assert chunks["fmt "] in (16, 18)
