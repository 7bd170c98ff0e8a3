"""Control maps on disk, as safetensors (see ``tensors``).

Rows that are silent throughout are not stored. Version 1 is written; a newer one is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.files import write_atomically
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    MODES,
    NOISE_FRAMES,
    PARTIALS,
    ROWS,
    SILENCE_DB,
    SINGLES,
    VERSION,
    ControlMap,
    ControlMapError,
)
from mechanical_ears.resynthesis.tensors import DAMAGE, tensor_bytes, tensors

FORMAT: Final = "mechanical-ears-controls"
_SCALARS: Final = {
    "frequency": float,
    "inharmonicity": float,
    "divisor": int,
    "seconds": float,
    "key_up": float,
    "sample_rate": int,
    "onset": float,
}
_REMEDY: Final = "write it again with: ears resynthesise FILE --controls MAP"


def to_bytes(controls: ControlMap) -> bytes:
    """A map as the bytes of a safetensors file."""
    heard = np.flatnonzero((controls.partials > SILENCE_DB).any(axis=1))
    singles = int(np.searchsorted(heard, SINGLES))
    filled = int(heard[singles - 1]) + 1 if singles else 0  # rows of the singles up to the last
    above = (heard >= SINGLES) & (heard < ROWS - MODES)
    upper = ROWS - MODES if above.any() else SINGLES
    modes = int(np.count_nonzero(controls.modes))
    loud = np.flatnonzero((controls.noise > SILENCE_DB).any(axis=1))
    arrays: dict[str, NDArray[Any]] = {
        "modes": controls.modes[:modes],
        "cents": controls.cents if controls.cents.any() else controls.cents[:0],
        "singles": controls.partials[:filled],
        "envelope": controls.partials[SINGLES:upper],
        "free": controls.partials[ROWS - MODES :][:modes],
        "noise": controls.noise[: int(loud[-1]) + 1 if len(loud) else 0],
        "offsets": controls.offsets[:filled],
        "fine": controls.fine if upper > SINGLES else controls.fine[:0],
        "phases": controls.phases[:filled],
        "free_phases": controls.phases[SINGLES:][:modes],
    }
    scalars = {name: repr(kind(getattr(controls, name))) for name, kind in _SCALARS.items()}
    about = {
        "format": FORMAT,
        "version": str(VERSION),
        "frames": str(len(controls.cents)),
        **scalars,
    }
    return tensor_bytes(arrays, about)


def from_bytes(data: bytes, path: str | Path | None = None) -> ControlMap:
    """A map from the bytes of a safetensors file.

    Args:
        data: of the file.
        path: named in errors.

    Raises:
        ControlsError: the bytes are damaged, something else, or of a newer version.
    """
    try:
        told, arrays = tensors(data)
    except DAMAGE as error:
        raise ControlMapError(
            f"is no control map, or damaged ({error})", path=path, remedy=_REMEDY
        ) from error
    if told.get("format") != FORMAT:
        raise ControlMapError(
            "is a safetensors file, but no control map", path=path, remedy=_REMEDY
        )
    if told.get("version") != str(VERSION):
        raise ControlMapError(
            f"is a map of version {told.get('version')}, this program reads {VERSION}",
            path=path,
            remedy="update mechanical-ears",
        )
    try:
        return _assembled(told, arrays)
    except DAMAGE as error:
        raise ControlMapError(f"is damaged ({error!r})", path=path, remedy=_REMEDY) from error
    except ControlMapError as error:
        raise ControlMapError(f"is damaged: {error}", path=path, remedy=_REMEDY) from error


def _assembled(told: dict[str, str], arrays: dict[str, NDArray[Any]]) -> ControlMap:
    frames = int(told["frames"])
    if not 1 <= frames <= 1 << 16:
        raise ValueError(f"{frames} frames")
    partials = np.full((ROWS, frames), SILENCE_DB, dtype=np.float16)
    phases = np.zeros((SINGLES + MODES, frames), dtype=np.int8)
    noise = np.full((BANDS, NOISE_FRAMES), SILENCE_DB, dtype=np.float16)
    offsets = np.zeros(SINGLES, dtype=np.float16)
    fine = np.zeros(PARTIALS - SINGLES, dtype=np.float16)
    modes = np.zeros(MODES, dtype=np.float32)
    cents = np.zeros(frames, dtype=np.float16)
    filled, free = len(arrays["singles"]), len(arrays["free"])
    partials[:filled], offsets[:filled] = arrays["singles"], arrays["offsets"]
    phases[:filled] = arrays["phases"]
    partials[SINGLES : SINGLES + len(arrays["envelope"])] = arrays["envelope"]
    partials[ROWS - MODES :][:free], modes[:free] = arrays["free"], arrays["modes"]
    phases[SINGLES:][:free] = arrays["free_phases"]
    noise[: len(arrays["noise"])] = arrays["noise"]
    fine[: len(arrays["fine"])] = arrays["fine"]
    cents[: len(arrays["cents"])] = arrays["cents"]
    scalars: dict[str, Any] = {name: kind(told[name]) for name, kind in _SCALARS.items()}
    return ControlMap(
        **scalars,
        cents=cents,
        partials=partials,
        phases=phases,
        noise=noise,
        offsets=offsets,
        fine=fine,
        modes=modes,
    )


def save_control_map(controls: ControlMap, path: str | Path) -> Path:
    """Write a map to a .safetensors file.

    Raises:
        EarsError: the file cannot be written.
    """
    path = Path(path)
    with write_atomically(path) as temporary:
        temporary.write_bytes(to_bytes(controls))
    return path


def load_control_map(path: str | Path) -> ControlMap:
    """Read a map.

    Raises:
        ControlsError: there is no such file, it is damaged, something else, or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise ControlMapError("no such file", path=path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ControlMapError(f"cannot be read ({error.strerror})", path=path) from error
    return from_bytes(data, path)
