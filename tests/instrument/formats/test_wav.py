"""WAV files with a sampler's metadata; FLAC files."""

import struct

import numpy as np
import pytest
import soundfile

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.formats.wav import (
    SamplerMetadata,
    encode_flac,
    encode_wav,
    quantise,
    read_sample,
)
from mechanical_ears.instrument.sampled import Sample
from mechanical_ears.instrument.zones import Loop

RANDOM = np.random.default_rng(0).uniform(-1, 1, (999, 2)).astype(np.float32)


def chunk(data, name):
    position = data.index(name)
    length = struct.unpack_from("<I", data, position + 4)[0]
    return data[position + 8 : position + 8 + length]


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_libsndfile_reads_it(tmp_path, bits, channels, kind):
    sample = Sample(RANDOM[:, :channels], 44_100)
    data = encode_wav(sample, bits) if kind == "wav" else encode_flac(sample, bits)
    (tmp_path / f"x.{kind}").write_bytes(data)
    integers, rate = soundfile.read(tmp_path / f"x.{kind}", dtype="int32", always_2d=True)
    assert rate == 44_100
    np.testing.assert_array_equal(integers >> (32 - bits), quantise(sample.audio, bits))
    read, _ = read_sample(tmp_path / f"x.{kind}")
    np.testing.assert_allclose(read.audio, sample.audio, atol=0.51 / 2 ** (bits - 1))


def test_full_scale_is_clipped_not_wrapped():
    loud = np.array([[1.0], [-1.0], [2.0], [-2.0]], np.float32)
    assert quantise(loud, 16)[:, 0].tolist() == [32_767, -32_768, 32_767, -32_768]


@pytest.mark.parametrize(
    ("cents", "root", "fraction"),
    [(0.0, 60, 0), (50.0, 60, 2**31), (-25.0, 59, 3 * 2**30), (125.0, 61, 2**30)],
)
def test_the_smpl_chunk_holds_key_cents_and_loop(tmp_path, cents, root, fraction):
    metadata = SamplerMetadata(60, cents, Loop(100, 900))
    data = encode_wav(Sample(RANDOM[:, :1], 48_000), 16, metadata, "Piano", "CC0-1.0")
    fields = struct.unpack("<9I6I", chunk(data, b"smpl"))
    assert fields[2] == 20_833  # ns of a frame
    assert fields[3:5] == (root, fraction)
    assert fields[7] == 1
    assert fields[10:13] == (0, 100, 899)  # forward, first frame, last frame
    assert b"Piano\0" in chunk(data, b"LIST")
    assert b"CC0-1.0\0" in chunk(data, b"LIST")
    (tmp_path / "x.wav").write_bytes(data)
    _, read = read_sample(tmp_path / "x.wav")
    assert 100 * read.root + read.cents == pytest.approx(6000 + cents)
    assert read.loop == Loop(100, 900)


def test_chunks_start_at_even_positions():
    data = encode_wav(Sample(RANDOM[:, :1], 48_000), 24, None, "odd", "")
    assert len(data) == 8 + struct.unpack_from("<I", data, 4)[0]
    position = 12
    names = []
    while position < len(data):
        names.append(data[position : position + 4])
        length = struct.unpack_from("<I", data, position + 4)[0]
        position += 8 + length + length % 2
    assert names == [b"fmt ", b"LIST", b"data"]
    assert position == len(data)


def test_a_loop_past_the_end_is_ignored(tmp_path):
    metadata = SamplerMetadata(60, 0.0, Loop(100, 5000))
    (tmp_path / "x.wav").write_bytes(encode_wav(Sample(RANDOM[:, :1], 48_000), 16, metadata))
    _, read = read_sample(tmp_path / "x.wav")
    assert read.loop is None


def test_other_bit_depths_are_refused():
    with pytest.raises(EarsError, match="8 bits"):
        encode_wav(Sample(RANDOM, 48_000), 8)
