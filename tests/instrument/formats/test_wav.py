"""WAV files with what a sampler wants to know; FLAC."""

import struct

import numpy as np
import pytest
import soundfile

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.formats.wav import (
    SampleFacts,
    flac_bytes,
    integers,
    read_sample,
    wav_bytes,
)
from mechanical_ears.instrument.sampled import Sample
from mechanical_ears.instrument.zones import Loop

RANDOM = np.random.default_rng(0).uniform(-1, 1, (999, 2)).astype(np.float32)


def chunk(data, name):
    place = data.index(name)
    length = struct.unpack_from("<I", data, place + 4)[0]
    return data[place + 8 : place + 8 + length]


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_libsndfile_reads_what_is_written(tmp_path, bits, channels, kind):
    sample = Sample(RANDOM[:, :channels], 44_100)
    data = wav_bytes(sample, bits) if kind == "wav" else flac_bytes(sample, bits)
    (tmp_path / f"x.{kind}").write_bytes(data)
    whole, rate = soundfile.read(tmp_path / f"x.{kind}", dtype="int32", always_2d=True)
    assert rate == 44_100
    np.testing.assert_array_equal(whole >> (32 - bits), integers(sample.audio, bits))
    read, _ = read_sample(tmp_path / f"x.{kind}")
    np.testing.assert_allclose(read.audio, sample.audio, atol=0.51 / 2 ** (bits - 1))


def test_full_scale_is_clipped_not_wrapped():
    loud = np.array([[1.0], [-1.0], [2.0], [-2.0]], np.float32)
    assert integers(loud, 16)[:, 0].tolist() == [32_767, -32_768, 32_767, -32_768]


@pytest.mark.parametrize(
    ("cents", "root", "fraction"),
    [(0.0, 60, 0), (50.0, 60, 2**31), (-25.0, 59, 3 * 2**30), (125.0, 61, 2**30)],
)
def test_the_smpl_chunk_tells_key_cents_and_loop(tmp_path, cents, root, fraction):
    facts = SampleFacts(60, cents, Loop(100, 900))
    data = wav_bytes(Sample(RANDOM[:, :1], 48_000), 16, facts, "Piano", "CC0-1.0")
    words = struct.unpack("<9I6I", chunk(data, b"smpl"))
    assert words[2] == 20_833  # ns of a frame
    assert words[3:5] == (root, fraction)
    assert words[7] == 1
    assert words[10:13] == (0, 100, 899)  # forward, first frame, last frame
    assert b"Piano\0" in chunk(data, b"LIST")
    assert b"CC0-1.0\0" in chunk(data, b"LIST")
    (tmp_path / "x.wav").write_bytes(data)
    _, read = read_sample(tmp_path / "x.wav")
    assert 100 * read.root + read.cents == pytest.approx(6000 + cents)
    assert read.loop == Loop(100, 900)


def test_chunks_have_even_places():
    data = wav_bytes(Sample(RANDOM[:, :1], 48_000), 24, None, "odd", "")
    assert len(data) == 8 + struct.unpack_from("<I", data, 4)[0]
    place = 12
    names = []
    while place < len(data):
        names.append(data[place : place + 4])
        length = struct.unpack_from("<I", data, place + 4)[0]
        place += 8 + length + length % 2
    assert names == [b"fmt ", b"LIST", b"data"]
    assert place == len(data)


def test_a_smpl_chunk_that_makes_no_sense_is_passed_over(tmp_path):
    facts = SampleFacts(60, 0.0, Loop(100, 5000))
    (tmp_path / "x.wav").write_bytes(wav_bytes(Sample(RANDOM[:, :1], 48_000), 16, facts))
    _, read = read_sample(tmp_path / "x.wav")
    assert read.loop is None  # behind the end of the sound


def test_what_cannot_be_written():
    with pytest.raises(EarsError, match="8 bits"):
        wav_bytes(Sample(RANDOM, 48_000), 8)
