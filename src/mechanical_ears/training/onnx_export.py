"""Export of trained networks to ONNX, with any number of notes in a batch."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def as_text(value: object) -> str:
    """A property as files keep it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def to_onnx(
    network: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    properties: Mapping[str, object],
) -> torch.onnx.ONNXProgram:
    """Trace a network.

    Args:
        network: on the CPU.
        example: inputs, batches of more than one note.
        inputs: their names.
        outputs: names of the outputs.
        properties: metadata of the file.
    """
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised inside torch
        program = torch.onnx.export(
            network.eval(),
            example,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update({key: as_text(each) for key, each in properties.items()})
    return program
