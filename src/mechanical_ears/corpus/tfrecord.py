"""TFRecord files and the tf.train.Example messages in them, read and written without TensorFlow.

A TFRecord file is a sequence of frames, with all numbers little-endian (TensorFlow,
``tensorflow/core/lib/io/record_writer.h``):

    u64 length | u32 mask(crc32c(length)) | data, length bytes | u32 mask(crc32c(data))
    mask(c) = rotate_right(c, 15) + 0xa282ead8  mod 2³²

The data is a protocol buffer (``tensorflow/core/example/feature.proto``):

    Example  { Features features = 1 }
    Features { map<string, Feature> feature = 1 }       entry: { string key = 1; Feature value = 2 }
    Feature  { one of BytesList = 1, FloatList = 2, Int64List = 3 }    list: { repeated value = 1 }

Each encoded field is a tag (number · 8 + wire type) and its value; wire type 0 is a varint (seven
bits per byte, lowest first), 1 is eight bytes, 2 a varint length and that many bytes, 5 four bytes.
A reader skips unknown fields and accepts numbers packed (in one field of wire type 2) or unpacked
(a field for each). `Example` finds the position of each feature and decodes it on access; a packed
list of floats is a view of the file, never copied.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import CorpusError
from mechanical_ears.files import write_atomically

HEADER_BYTES = 12  # bytes: the length and its CRC
FOOTER_BYTES = 4  # bytes: the CRC of the data
CRC_MASK_DELTA = 0xA282EAD8

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # wire types
_FIRST = 1 << 3 | _LENGTH  # tag of field 1 with a length: features, entry, key, value, packed list
_SECOND = 2 << 3 | _LENGTH
_BYTES, _FLOATS, _INTS = (number << 3 | _LENGTH for number in (1, 2, 3))  # tags of the three lists
_LIST_NAMES = {_BYTES: "bytes", _FLOATS: "floats", _INTS: "integers"}

_header = struct.Struct("<QI")
_crc = struct.Struct("<I")

FeatureValue = Sequence[bytes] | Sequence[int] | NDArray[np.float32]


def masked_crc(data: bytes | NDArray[np.uint8]) -> int:
    """CRC32C of bytes, masked as TFRecord stores it."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + CRC_MASK_DELTA) & 0xFFFFFFFF


class TFRecordFile:
    """A TFRecord file, memory-mapped.

    The memory map lives as long as this object or any view of its records.

    Args:
        path: the file.

    Raises:
        CorpusError: the file cannot be opened, is empty or is compressed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise CorpusError("is empty", path=path, remedy="download it again") from error
        except OSError as error:
            raise CorpusError(
                f"cannot be read: {error.strerror or error}", path=path, remedy="check the path"
            ) from error
        if mapped[:2] == b"\x1f\x8b":
            raise CorpusError("is compressed by gzip", path=path, remedy="gunzip it first")
        self._data = memoryview(mapped)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Iterate over the records: position of each record's data, and one past its end.

        Only the 12-byte headers are read and checked, so that counting and seeking are fast.

        Raises:
            CorpusError: a frame is truncated, or the CRC of its length is wrong; the records after
                it cannot be found.
        """
        data, size = self._data, len(self._data)
        position = index = 0
        while position < size:
            start = position + HEADER_BYTES
            if start > size:
                raise self._truncated(index)
            length, crc = _header.unpack_from(data, position)
            if masked_crc(bytes(data[position : position + 8])) != crc:
                problem = "wrong CRC of its length: damaged from here on, or not a TFRecord file"
                remedy = "download it again"
                raise CorpusError(problem, path=self.path, record=f"record {index}", remedy=remedy)
            position = start + length + FOOTER_BYTES
            if position > size:
                raise self._truncated(index)
            yield start, start + length
            index += 1

    def _truncated(self, index: int) -> CorpusError:
        problem = f"is truncated: the file ends after {len(self._data)} bytes"
        remedy = "download it again"
        return CorpusError(problem, path=self.path, record=f"record {index}", remedy=remedy)

    def read_record(self, span: tuple[int, int]) -> memoryview:
        """Data of the record at ``span``: uint8 (length,), a view of the file.

        Raises:
            CorpusError: the CRC of the data is wrong.
        """
        start, end = span
        data = self._data[start:end]
        (crc,) = _crc.unpack_from(self._data, end)
        if masked_crc(np.frombuffer(data, np.uint8) if data else b"") != crc:
            problem = "wrong CRC of its data: the record is damaged"
            remedy = "download the file again, or skip bad records"
            raise CorpusError(problem, path=self.path, remedy=remedy)
        return data


class Example:
    """Features of a tf.train.Example.

    Args:
        data: the serialised message, which results may be views of.

    Raises:
        CorpusError: the bytes are not an Example.
    """

    __slots__ = ("_data", "_features")

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._features: dict[bytes, tuple[int, int]] = {}
        try:
            for tag, start, end in _fields(data, 0, len(data)):
                if tag == _FIRST:
                    self._index_entries(start, end)
        except IndexError as error:
            raise _not_an_example() from error

    def _index_entries(self, position: int, end: int) -> None:
        data, features = self._data, self._features
        while position < end:
            # Fast path for the usual entry: a key of less than 128 bytes, a value, nothing else.
            if data[position] == _FIRST:
                length, start = data[position + 1], position + 2
                if length >= 0x80:
                    length, start = _varint(data, position + 1)
                entry_end = start + length
                if 4 <= length <= end - start and data[start] == _FIRST:
                    key_end = start + 2 + data[start + 1]
                    if key_end + 2 <= entry_end and data[key_end] == _SECOND:
                        size, value = data[key_end + 1], key_end + 2
                        if size >= 0x80:
                            size, value = _varint(data, key_end + 1)
                        if value + size == entry_end:
                            features[bytes(data[start + 2 : key_end])] = value, entry_end
                            position = entry_end
                            continue
            for tag, start, stop in _fields(data, position, end):
                if tag == _FIRST:
                    self._index_entry(start, stop)
            return

    def _index_entry(self, start: int, end: int) -> None:
        key, value = b"", (end, end)
        for tag, part, part_end in _fields(self._data, start, end):
            if tag == _FIRST:
                key = bytes(self._data[part:part_end])
            elif tag == _SECOND:
                value = part, part_end
        self._features[key] = value

    def __contains__(self, key: str) -> bool:
        return key.encode() in self._features

    def keys(self) -> list[str]:
        """Names of the features."""
        return [key.decode("utf-8", "replace") for key in self._features]

    def floats(self, key: str) -> NDArray[np.float32]:
        """A list of floats: float32 (values,), a read-only view if the list is packed.

        The view may start at any byte, not only at a multiple of four.

        Raises:
            CorpusError: there is no such feature, or it is not a list of floats.
        """
        try:
            pieces = [
                np.frombuffer(self._data[start:end], "<f4")
                for tag, start, end in self._values(key, _FLOATS)
                if tag in (_FIRST, 1 << 3 | _FOUR_BYTES) and start < end
            ]
        except ValueError as error:  # not a multiple of four bytes
            raise _not_an_example() from error
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, np.float32), *pieces])

    def ints(self, key: str) -> list[int]:
        """A list of signed 64-bit integers.

        Raises:
            CorpusError: there is no such feature, or it is not a list of integers.
        """
        numbers: list[int] = []
        for tag, start, end in self._values(key, _INTS):
            if tag in (_FIRST, 1 << 3 | _VARINT):
                packed, position = bytes(self._data[start:end]), 0
                if packed.isascii():  # each number is below 128 and has one byte
                    numbers.extend(packed)
                    continue
                try:
                    while position < len(packed):
                        number, position = _varint(packed, position)
                        numbers.append(number if number < 1 << 63 else number - (1 << 64))
                except IndexError as error:
                    raise _not_an_example() from error
        return numbers

    def byte_strings(self, key: str) -> list[bytes]:
        """A list of byte strings.

        Raises:
            CorpusError: there is no such feature, or it is not a list of bytes.
        """
        values = self._values(key, _BYTES)
        return [bytes(self._data[start:end]) for tag, start, end in values if tag == _FIRST]

    def _values(self, key: str, kind: int) -> list[tuple[int, int, int]]:
        """Fields of the lists of one feature: tag, position, one past the end."""
        span = self._features.get(key.encode())
        if span is None:
            raise CorpusError(f'"{key}" is missing')
        data = self._data
        values: list[tuple[int, int, int]] = []
        try:
            start, end = span
            packed = _single_field(data, _FIRST, _single_field(data, kind, start, end), end)
            if packed < end:  # one field in one list, as for packed numbers
                return [(_FIRST, packed, end)]
            for tag, start, end in _fields(data, *span):
                if tag == kind:
                    values.extend(_fields(data, start, end))
                elif tag in _LIST_NAMES:
                    raise CorpusError(
                        f'"{key}" is a list of {_LIST_NAMES[tag]}, not of {_LIST_NAMES[kind]}'
                    )
        except IndexError as error:
            raise _not_an_example() from error
        return values


def _not_an_example() -> CorpusError:
    return CorpusError(
        "is not a tf.train.Example", remedy="give NSynth's TFRecord files, or skip bad records"
    )


def _varint(data: memoryview | bytes, position: int) -> tuple[int, int]:
    """The unsigned number at ``position``, and the position after it."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift > 63:
            raise IndexError("a varint has at most ten bytes")


def _single_field(data: memoryview, tag: int, start: int, end: int) -> int:
    """Position of the content if ``data[start:end]`` is one field with ``tag``; else ``end``."""
    if start + 2 > end or data[start] != tag:
        return end
    length, begin = data[start + 1], start + 2
    if length >= 0x80:
        length, begin = _varint(data, start + 1)
    return begin if begin + length == end else end


def _fields(data: memoryview, position: int, end: int) -> list[tuple[int, int, int]]:
    """Fields of the message in ``data[position:end]``: tag, position, one past the end.

    Raises:
        IndexError: the bytes are not a message.
    """
    fields = []
    while position < end:
        tag = data[position]
        position += 1
        if tag >= 0x80:
            tag, position = _varint(data, position - 1)
        wire_type = tag & 7
        start = position
        if wire_type == _LENGTH:
            length = data[position]
            start = position + 1
            if length >= 0x80:
                length, start = _varint(data, position)
            position = start + length
        elif wire_type == _VARINT:
            _, position = _varint(data, position)
        elif wire_type == _FOUR_BYTES:
            position += 4
        elif wire_type == _EIGHT_BYTES:
            position += 8
        else:
            raise IndexError(f"wire type {wire_type}")
        if tag < 1 << 3:
            raise IndexError("a field has the number 0")
        fields.append((tag, start, position))
    if position != end:
        raise IndexError("a field is truncated")
    return fields


def encode_example(features: Mapping[str, FeatureValue]) -> bytes:
    """Serialise features as a tf.train.Example, in the order given.

    Args:
        features: float32 (values,) arrays, sequences of ``int``, or sequences of ``bytes``.
    """
    entries = b""
    for key, value in features.items():
        entry = _encode_field(_FIRST, key.encode()) + _encode_field(_SECOND, _encode_feature(value))
        entries += _encode_field(_FIRST, entry)
    return _encode_field(_FIRST, entries)


def _encode_feature(value: FeatureValue) -> bytes:
    if isinstance(value, np.ndarray):
        return _encode_field(_FLOATS, _encode_field(_FIRST, value.astype("<f4").tobytes()))
    if value and isinstance(value[0], bytes):
        items = [_encode_field(_FIRST, item) for item in value if isinstance(item, bytes)]
        return _encode_field(_BYTES, b"".join(items))
    numbers = [_encode_varint(number % (1 << 64)) for number in value if isinstance(number, int)]
    return _encode_field(_INTS, _encode_field(_FIRST, b"".join(numbers)))


def _encode_field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + _encode_varint(len(content)) + content


def _encode_varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def write_tfrecord(path: str | Path, records: Iterable[bytes]) -> Path:
    """Write records as a TFRecord file, whole or not at all.

    Raises:
        EarsError: the file cannot be written.
    """
    path = Path(path)
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            file.write(length + _crc.pack(masked_crc(length)))
            file.write(record)
            file.write(_crc.pack(masked_crc(record)))
    return path
