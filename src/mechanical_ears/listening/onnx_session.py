"""Opening of ONNX files, with an error of one line where they cannot be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mechanical_ears.errors import EarsError


def open_session(path: Path, threads: int | None = None) -> Any:
    """Open an ONNX Runtime session on the CPU.

    Args:
        path: the ONNX file.
        threads: of one run; None for all cores.

    Raises:
        EarsError: there is no such file, or it is not an ONNX model.
    """
    import onnxruntime

    if not path.is_file():
        raise EarsError("no such model file", path=path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own without a common base
        raise EarsError(
            f"is not an ONNX model that can be run ({str(error).splitlines()[0]})", path=path
        ) from error
