"""The TFRecord reader against TensorFlow's own file, and against protobuf for random messages."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from mechanical_ears.corpus.tfrecord import (
    Example,
    TFRecordFile,
    encode_example,
    masked_crc,
    write_tfrecord,
)
from mechanical_ears.errors import CorpusError
from support.paths import DATA

DEV = DATA / "nsynth-dev.tfrecord"


def reference_message() -> Any:
    """The class of tf.train.Example, from its published schema."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[str, int, int, int, str], union: bool = False) -> Any:
        result = file.message_type.add(name=name)
        if union:
            result.oneof_decl.add(name="kind")
        for title, number, label, kind, of in fields:
            added = result.field.add(name=title, number=number, label=label, type=kind)
            if of:
                added.type_name = of
            if union:
                added.oneof_index = 0
        return result

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    message("BytesList", ("value", 1, many, field.TYPE_BYTES, ""))
    message("FloatList", ("value", 1, many, field.TYPE_FLOAT, ""))
    message("Int64List", ("value", 1, many, field.TYPE_INT64, ""))
    lists = [
        (f"{n}_list", i, one, field.TYPE_MESSAGE, f".t.{n.title()}List")
        for i, n in enumerate(("bytes", "float", "int64"), start=1)
    ]
    message("Feature", *lists, union=True)
    features = message("Features", ("feature", 1, many, field.TYPE_MESSAGE, ".t.Features.Entry"))
    entry = features.nested_type.add(name="Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=field.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=one, type=field.TYPE_MESSAGE, type_name=".t.Feature"
    )
    message("Example", ("features", 1, one, field.TYPE_MESSAGE, ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    # A map entry is named after its field: FeatureEntry.
    entry.name = "FeatureEntry"
    features.field[0].type_name = ".t.Features.FeatureEntry"
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


Reference = reference_message()

int64 = st.integers(-(2**63), 2**63 - 1)
feature_values = st.one_of(
    st.lists(st.binary(max_size=200), min_size=1, max_size=4),
    st.lists(int64, min_size=1, max_size=40),
    st.lists(st.floats(width=32, allow_nan=False), max_size=80),
)
feature_maps = st.dictionaries(st.text(max_size=150), feature_values, max_size=6)


def list_name(values: list[Any]) -> str:
    first = values[0] if values else 0.0
    return {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(first)]


def reference(features: dict[str, list[Any]]) -> Any:
    message = Reference()
    for key, values in features.items():
        getattr(message.features.feature[key], list_name(values)).value.extend(values)
        if not values:
            message.features.feature[key].float_list.SetInParent()
    return message


def check(example: Example, features: dict[str, list[Any]]) -> None:
    assert sorted(example.keys()) == sorted(features)
    for key, values in features.items():
        kind = list_name(values)
        if kind == "bytes_list":
            assert example.byte_strings(key) == values
        elif kind == "int64_list":
            assert example.ints(key) == values
        else:
            assert example.floats(key).tolist() == values


@given(feature_maps)
def test_reads_what_protobuf_writes(features: dict[str, list[Any]]) -> None:
    check(Example(memoryview(reference(features).SerializeToString())), features)


@given(feature_maps)
def test_protobuf_reads_what_we_write(features: dict[str, list[Any]]) -> None:
    arrays: dict[str, Any] = {
        key: np.array(values, np.float32) if list_name(values) == "float_list" else values
        for key, values in features.items()
    }
    encoded = encode_example(arrays)
    assert Reference.FromString(encoded).features == reference(features).features


def delimited(tag: int, content: bytes) -> bytes:
    length, encoded = len(content), b""
    while length >= 0x80:
        encoded += bytes((length & 0x7F | 0x80,))
        length >>= 7
    return bytes((tag,)) + encoded + bytes((length,)) + content


def field_of(message: bytes) -> bytes:
    """An Example of one Features message."""
    return delimited(0x0A, message)


UNKNOWN = (
    b"\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # 15: varint −1
    + b"\x79" + b"\xff" * 8  # 15: eight bytes
    + b"\x7d" + b"\xff" * 4  # 15: four bytes
    + b"\x7a\x03abc"  # 15: three bytes
    + b"\xfa\x7f\x01x"  # 2047: one byte
)  # fmt: skip


@pytest.mark.parametrize("before", [b"", UNKNOWN])
@pytest.mark.parametrize("after", [b"", UNKNOWN])
def test_reads_unpacked_lists_in_any_order_among_unknown_fields(
    before: bytes, after: bytes
) -> None:
    floats = b"".join(b"\x0d" + struct.pack("<f", value) for value in (0.5, -2.0))
    numbers = b"\x08\x05" + before + b"\x08" + b"\xff" * 9 + b"\x01" + b"\x0a\x02\x80\x01"

    def entry(key: bytes, tag: int, content: bytes) -> bytes:
        value = delimited(0x12, before + delimited(tag, content + after) + after)
        return delimited(0x0A, value + delimited(0x0A, key))

    message = field_of(before + entry(b"audio", 0x12, floats)) + after
    message += field_of(entry(b"pitch", 0x1A, numbers) + after)
    expected = Reference.FromString(message).features.feature
    actual = Example(memoryview(message))
    assert list(expected["audio"].float_list.value) == [0.5, -2.0]
    assert actual.floats("audio").tolist() == [0.5, -2.0]
    assert actual.ints("pitch") == [5, -1, 128] == list(expected["pitch"].int64_list.value)


@given(st.binary(max_size=60))
def test_random_bytes_are_read_as_protobuf_reads_them_or_refused(data: bytes) -> None:
    try:
        example = Example(memoryview(data))
        keys = example.keys()
    except CorpusError:
        return
    try:
        expected = Reference.FromString(data)
    except Exception:  # groups and text that is not UTF-8 are refused by protobuf alone
        return
    assert sorted(keys) == sorted(expected.features.feature)


@given(features=feature_maps, part=st.floats(0, 1, exclude_max=True))
def test_a_truncated_message_is_refused(features: dict[str, list[Any]], part: float) -> None:
    whole = reference(features).SerializeToString()
    data = whole[: math.floor(part * len(whole))]
    if not data:
        return
    with pytest.raises(CorpusError, match=r"is not a tf\.train\.Example"):
        Example(memoryview(data))


def test_packed_audio_is_a_view_and_other_types_are_refused() -> None:
    data = memoryview(encode_example({"audio": np.array([1, 2], np.float32), "pitch": [60]}))
    example = Example(data)
    audio = example.floats("audio")
    assert np.shares_memory(audio, np.frombuffer(data, np.uint8))
    assert "pitch" in example
    assert "velocity" not in example
    with pytest.raises(CorpusError, match=r'^"velocity" is missing$'):
        example.ints("velocity")
    with pytest.raises(CorpusError, match=r'^"audio" is a list of floats, not of integers$'):
        example.ints("audio")
    with pytest.raises(CorpusError, match=r'^"pitch" is a list of integers, not of bytes$'):
        example.byte_strings("pitch")


def test_floats_of_five_bytes_are_refused() -> None:
    feature = delimited(0x12, delimited(0x12, delimited(0x0A, b"12345")))
    message = field_of(delimited(0x0A, delimited(0x0A, b"audio") + feature))
    with pytest.raises(CorpusError, match=r"is not a tf\.train\.Example"):
        Example(memoryview(message)).floats("audio")


def test_masked_crc_of_known_values() -> None:
    # CRC32C of "123456789" is e3069283 (RFC 3720's catalogue value), then TFRecord's mask.
    crc = 0xE3069283
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_frames_are_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes]
) -> None:
    path = write_tfrecord(tmp_path_factory.mktemp("frames") / "x.tfrecord", records)
    assert path.stat().st_size == sum(len(record) + 16 for record in records)
    if records:
        file = TFRecordFile(path)
        assert [bytes(file.read_record(span)) for span in file.spans()] == records
    else:
        with pytest.raises(CorpusError, match="is empty; download it again"):
            TFRecordFile(path)


@pytest.mark.parametrize("keep", [1, 11, 12, 15, 20, 35, 36, 39])
def test_a_truncated_file(tmp_path: Path, keep: int) -> None:
    whole = write_tfrecord(tmp_path / "whole.tfrecord", [b"12345678", b"12345678"]).read_bytes()
    path = tmp_path / "truncated.tfrecord"
    path.write_bytes(whole[:keep])
    records = []
    file = TFRecordFile(path)
    with pytest.raises(CorpusError) as raised:
        records.extend(bytes(file.read_record(span)) for span in file.spans())
    number = keep // 24
    problem = f"is truncated: the file ends after {keep} bytes; download it again"
    assert str(raised.value) == f"{path}: record {number}: {problem}"


def test_wrong_crcs(tmp_path: Path) -> None:
    whole = bytearray(write_tfrecord(tmp_path / "x.tfrecord", [b"12345678"] * 3).read_bytes())
    whole[24 + 12] ^= 1  # data of record 1
    whole[48 + 9] ^= 1  # CRC of the length of record 2
    path = tmp_path / "bad.tfrecord"
    path.write_bytes(whole)
    file = TFRecordFile(path)
    spans = file.spans()
    assert bytes(file.read_record(next(spans))) == b"12345678"
    with pytest.raises(CorpusError, match="wrong CRC of its data: the record is damaged"):
        file.read_record(next(spans))
    with pytest.raises(CorpusError, match="record 2: wrong CRC of its length"):
        next(spans)


def test_other_files_are_refused(tmp_path: Path) -> None:
    packed = tmp_path / "packed.tfrecord"
    packed.write_bytes(b"\x1f\x8b" + bytes(40))
    with pytest.raises(CorpusError, match="is compressed by gzip; gunzip it first"):
        TFRecordFile(packed)
    with pytest.raises(CorpusError, match="cannot be read: No such file or directory"):
        TFRecordFile(tmp_path / "absent.tfrecord")
    with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
        TFRecordFile(tmp_path)


@pytest.mark.skipif(not DEV.exists(), reason=f"no {DEV}")
def test_tensorflows_own_file_is_read_as_by_protobuf() -> None:
    file = TFRecordFile(DEV)
    spans = list(file.spans())
    assert len(spans) == 48
    for span in spans:
        data = file.read_record(span)
        actual, expected = Example(data), Reference.FromString(bytes(data)).features.feature
        assert sorted(actual.keys()) == sorted(expected)
        for key, feature in expected.items():
            kind = feature.WhichOneof("kind")
            if kind == "bytes_list":
                assert actual.byte_strings(key) == list(feature.bytes_list.value)
            elif kind == "int64_list":
                assert actual.ints(key) == list(feature.int64_list.value)
            else:
                assert np.array_equal(actual.floats(key), np.array(feature.float_list.value, "f4"))
