"""Arrays in the safetensors format, without the safetensors library.

    8 bytes      length of the header, little-endian
    header       JSON: each array's name → dtype, shape and place; "__metadata__" → words
    data         the arrays, one after the other

The library reads and writes the same files; playing needs none of training's software.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LARGEST_HEADER: Final = 1 << 20  # bytes
DAMAGE: Final = (ValueError, KeyError, TypeError, IndexError, OverflowError)  # of bytes, met here
_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "I8": np.dtype("i1"),
}
_NAMES: Final = {dtype: name for name, dtype in _DTYPES.items()}


def tensor_bytes(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file.

    Args:
        arrays: float16, float32 or int8, of any shape, by name.
        metadata: words.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    place, parts = 0, []
    for name in sorted(arrays, key=lambda key: -arrays[key].dtype.itemsize):
        array = arrays[name]
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [place, place + len(data)],
        }
        place += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def tensors(data: bytes) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and arrays of the bytes of a safetensors file.

    Raises:
        ValueError, KeyError, TypeError, IndexError, OverflowError: what `DAMAGE` lists; the bytes
            are something else, or damaged.
    """
    if len(data) < 8:
        raise ValueError(f"{len(data)} bytes")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(LARGEST_HEADER, len(data) - 8):
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(data[8 : 8 + length].decode())
    if not isinstance(header, dict):
        raise ValueError("the header is no table")
    body = data[8 + length :]
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        if not 0 <= first <= last <= len(body):
            raise ValueError(f'"{name}" ends behind the file')
        array = np.frombuffer(body[first:last], dtype=_DTYPES[entry["dtype"]])
        arrays[name] = array.reshape(entry["shape"])
    return header.get("__metadata__", {}), arrays
