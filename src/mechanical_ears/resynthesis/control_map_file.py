"""Control maps on disk, as safetensors files.

Rows that are silent throughout are not stored. Version 1 is written; other versions are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from mechanical_ears.errors import check_version
from mechanical_ears.files import write_atomically
from mechanical_ears.resynthesis.control_map import (
    MODES,
    ROWS,
    SILENCE_DB,
    SINGLES,
    VERSION,
    ControlMap,
    ControlMapError,
    array_shapes,
)

FORMAT: Final = "mechanical-ears-controls"
DAMAGE: Final = (SafetensorError, ValueError, KeyError, TypeError, IndexError, OverflowError)
_KINDS: Final = {"float": float, "int": int}
_SCALARS: Final = {
    each.name: _KINDS[str(each.type)] for each in fields(ControlMap) if each.type in _KINDS
}
_DTYPES: Final = {"phases": np.int8, "modes": np.float32}  # of the arrays that are not float16
_REMEDY: Final = "write it again with: ears resynthesise FILE --control-map MAP"


def write_tensors(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file; the same bytes for the same arrays and metadata."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data = safetensors.numpy.save(contiguous, dict(metadata))
    length, header = _header(data)
    header["__metadata__"] = dict(metadata)  # which the library writes in a random order
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return data[:8] + text.ljust(length) + data[8 + length :]


def read_tensors(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of the bytes of a safetensors file.

    Raises:
        One of `DAMAGE`: the bytes are damaged or something else.
    """
    arrays = safetensors.numpy.load(data)
    return arrays, _header(data)[1].get("__metadata__", {})


def _header(data: bytes) -> tuple[int, dict[str, Any]]:
    """Length and content of the header of a valid file."""
    length = int.from_bytes(data[:8], "little")
    return length, json.loads(data[8 : 8 + length])


def to_bytes(control_map: ControlMap) -> bytes:
    """A map as the bytes of a safetensors file."""
    sounding = np.flatnonzero((control_map.partials > SILENCE_DB).any(axis=1))
    singles = int(np.searchsorted(sounding, SINGLES))
    stored = int(sounding[singles - 1]) + 1 if singles else 0  # singles up to the last that sounds
    has_envelope = ((sounding >= SINGLES) & (sounding < ROWS - MODES)).any()
    envelope_end = ROWS - MODES if has_envelope else SINGLES
    modes = int(np.count_nonzero(control_map.modes))
    bands = np.flatnonzero((control_map.noise > SILENCE_DB).any(axis=1))
    arrays: dict[str, NDArray[Any]] = {
        "modes": control_map.modes[:modes],
        "cents": control_map.cents if control_map.cents.any() else control_map.cents[:0],
        "singles": control_map.partials[:stored],
        "envelope": control_map.partials[SINGLES:envelope_end],
        "free": control_map.partials[ROWS - MODES :][:modes],
        "noise": control_map.noise[: int(bands[-1]) + 1 if len(bands) else 0],
        "offsets": control_map.offsets[:stored],
        "fine": control_map.fine if has_envelope else control_map.fine[:0],
        "phases": control_map.phases[:stored],
        "free_phases": control_map.phases[SINGLES:][:modes],
    }
    frames = str(len(control_map.cents))
    metadata = {"format": FORMAT, "version": str(VERSION), "frames": frames}
    metadata |= {name: repr(kind(getattr(control_map, name))) for name, kind in _SCALARS.items()}
    return write_tensors(arrays, metadata)


def from_bytes(data: bytes, path: str | Path | None = None) -> ControlMap:
    """A map from the bytes of a safetensors file.

    Args:
        data: of the file.
        path: named in errors.

    Raises:
        ControlMapError: the bytes are damaged, something else, or of another version.
    """

    def failure(problem: str) -> ControlMapError:
        return ControlMapError(problem, path=path, remedy=_REMEDY)

    try:
        arrays, metadata = read_tensors(data)
    except DAMAGE as error:
        raise failure(f"is not a control map, or is damaged ({error})") from error
    if metadata.get("format") != FORMAT:
        raise failure("is a safetensors file, but not a control map")
    check_version(metadata.get("version"), str(VERSION), path, kind=ControlMapError)
    try:
        return _assemble(arrays, metadata)
    except DAMAGE as error:
        raise failure(f"is damaged ({error!r})") from error
    except ControlMapError as error:
        raise failure(f"is damaged: {error}") from error


def _assemble(arrays: dict[str, NDArray[Any]], metadata: dict[str, str]) -> ControlMap:
    """A map with the rows that are not stored."""
    frames = int(metadata["frames"])
    if not 1 <= frames <= 1 << 16:
        raise ValueError(f"{frames} frames")
    full: dict[str, Any] = {
        name: np.zeros(shape, _DTYPES.get(name, np.float16))
        for name, shape in array_shapes(frames).items()
    }
    partials, phases, modes = full["partials"], full["phases"], full["modes"]
    partials[:] = full["noise"][:] = SILENCE_DB
    stored, mode_count = len(arrays["singles"]), len(arrays["free"])
    partials[:stored], phases[:stored] = arrays["singles"], arrays["phases"]
    partials[SINGLES : SINGLES + len(arrays["envelope"])] = arrays["envelope"]
    partials[ROWS - MODES :][:mode_count], modes[:mode_count] = arrays["free"], arrays["modes"]
    phases[SINGLES:][:mode_count] = arrays["free_phases"]
    for name in ("noise", "offsets", "fine", "cents"):
        full[name][: len(arrays[name])] = arrays[name]
    scalars: dict[str, Any] = {name: kind(metadata[name]) for name, kind in _SCALARS.items()}
    return ControlMap(**scalars, **full)


def save_control_map(control_map: ControlMap, path: str | Path) -> Path:
    """Write a map to a .safetensors file.

    Raises:
        EarsError: the file cannot be written.
    """
    path = Path(path)
    with write_atomically(path) as temporary:
        temporary.write_bytes(to_bytes(control_map))
    return path


def load_control_map(path: str | Path) -> ControlMap:
    """Read a map from a .safetensors file.

    Raises:
        ControlMapError: there is no such file, it is damaged, something else, or of another
            version.
    """
    path = Path(path)
    if not path.is_file():
        raise ControlMapError("no such file", path=path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ControlMapError(f"cannot be read ({error.strerror})", path=path) from error
    return from_bytes(data, path)
