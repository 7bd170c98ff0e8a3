"""A toy model: linear networks whose every output is known, in the files of the shipped weights.

A timbre t adds t @ basis() to the partials of a plucked string, a velocity 0.2 dB a step; the
encoder inverts that exactly. (The basis moves levels of audible partials only.)
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mechanical_ears.imagining.patch import TIMBRE_SIZE
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import (
    GRID_FRAMES,
    GRID_SHAPES,
    PARTIAL_ROWS,
    SLOT_CENTRES,
    grid_noise_times,
    grid_times,
)
from mechanical_ears.resynthesis.control_map import BANDS, SILENCE_DB

DECIBELS_PER_VELOCITY = 0.2
INSTRUMENTS = ("toy string", "toy bell")


def plucked() -> dict[str, np.ndarray]:
    """The fields of a plucked string's control grid, by name, without a batch."""
    numbers = np.arange(1.0, PARTIAL_ROWS + 1)[:, None]
    times, noise_times = grid_times(), grid_noise_times()
    fall = -6 * times - 60 * np.maximum(times - 3, 0)
    partials = -40 - 9 * np.log2(numbers) + fall * (1 + 0.05 * numbers)
    noise = np.broadcast_to(-85 - 8 * noise_times, (BANDS, len(noise_times)))
    return {
        "partials": np.maximum(partials, SILENCE_DB),
        "slots": np.full(GRID_SHAPES["slots"], SILENCE_DB),
        "noise": noise,
        "cents": np.zeros(GRID_SHAPES["cents"]),
        "fine": np.zeros(GRID_SHAPES["fine"]),
        "offsets": np.zeros(GRID_SHAPES["offsets"]),
        "stiffness": np.array(-7.0),
        "ratios": np.array(SLOT_CENTRES),
    }


def basis() -> np.ndarray:
    """What a step of each number of the timbre adds to the partials, dB, (64, 64 × 96).

    The first, which would be the level alone, adds nothing.
    """
    steps = np.zeros((TIMBRE_SIZE, PARTIAL_ROWS, GRID_FRAMES), dtype=np.float32)
    shape = np.cos(np.pi * np.outer(np.arange(8), np.arange(8) + 0.5) / 8)
    phases = np.pi * (np.arange(GRID_FRAMES) + 0.5) / GRID_FRAMES
    times = np.cos(np.arange(8)[:, None] * phases)
    for number in range(TIMBRE_SIZE):  # of 8 partials, in 8 ways to change over time
        steps[number, :8] = np.outer(shape[number % 8], times[number // 8])
    steps[0] = 0
    return steps.reshape(TIMBRE_SIZE, -1)


def write_toy(folder: Path, **changes: str) -> Path:
    """Write the three networks, with changes of the generator's metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    families = rng.standard_normal((len(FAMILIES), TIMBRE_SIZE)).astype(np.float32)
    base = {name: value.astype(np.float32) for name, value in plucked().items()}

    nodes = [
        helper.make_node("MatMul", ["family", "families"], ["moved"]),
        helper.make_node("Add", ["z", "moved"], ["timbre"]),
    ]
    _save(
        folder / "mapper.onnx",
        nodes,
        {"z": (TIMBRE_SIZE,), "family": (len(FAMILIES),)},
        {"timbre": (TIMBRE_SIZE,)},
        {"families": families},
    )

    flat = base["partials"].reshape(1, -1)
    nodes = [
        helper.make_node("MatMul", ["timbre", "basis"], ["moved"]),
        helper.make_node("Sub", ["velocity", "usual"], ["force"]),
        helper.make_node("Mul", ["force", "step"], ["louder"]),
        helper.make_node("Unsqueeze", ["louder", "one"], ["column"]),
        helper.make_node("Add", ["moved", "flat"], ["shape"]),
        helper.make_node("Add", ["shape", "column"], ["levels"]),
        helper.make_node("Reshape", ["levels", "rows"], ["partials"]),
        helper.make_node("Mul", ["pitch", "nothing"], ["zero"]),
    ]
    constants = {
        "basis": basis(),
        "usual": np.float32(100),
        "step": np.float32(DECIBELS_PER_VELOCITY),
        "one": np.array([1], dtype=np.int64),
        "flat": flat,
        "rows": np.array([-1, *GRID_SHAPES["partials"]], dtype=np.int64),
        "nothing": np.float32(0),
    }
    for name, shape in GRID_SHAPES.items():
        if name == "partials":
            continue
        constants[f"{name}_base"] = base[name][None]
        constants[f"{name}_rows"] = np.array([-1, *[1] * len(shape)], dtype=np.int64)
        nodes += [
            helper.make_node("Reshape", ["zero", f"{name}_rows"], [f"{name}_zero"]),
            helper.make_node("Add", [f"{name}_zero", f"{name}_base"], [name]),
        ]
    metadata = {
        "version": "1",
        "trained_on": "nothing",
        "licence": "CC0-1.0",
        "citation": "none",
        "directions": json.dumps(
            {
                name: [float(place == number) for place in range(TIMBRE_SIZE)]
                for number, name in enumerate(
                    ("bright", "attack", "noisy", "sustain", *FAMILIES), start=1
                )
            }
        ),
        "spread": json.dumps([1.0] * TIMBRE_SIZE),
        "instruments": json.dumps(INSTRUMENTS),
        "timbres": base64.b64encode(np.zeros((2, TIMBRE_SIZE), dtype="<f2").tobytes()).decode(),
        **changes,
    }
    _save(
        folder / "generator.onnx",
        nodes,
        {"timbre": (TIMBRE_SIZE,), "pitch": (), "velocity": ()},
        GRID_SHAPES,
        constants,
        metadata,
    )

    nodes = [
        helper.make_node("Reshape", ["partials", "row"], ["levels"]),
        helper.make_node("Sub", ["levels", "flat"], ["moved"]),
        helper.make_node("Sub", ["velocity", "usual"], ["force"]),
        helper.make_node("Mul", ["force", "step"], ["louder"]),
        helper.make_node("Unsqueeze", ["louder", "one"], ["column"]),
        helper.make_node("Sub", ["moved", "column"], ["plain"]),
        helper.make_node("MatMul", ["plain", "back"], ["timbre"]),
        helper.make_node("MatMul", ["timbre", "families"], ["family"]),
    ]
    used = {name: constants[name] for name in ("flat", "usual", "step", "one")}
    _save(
        folder / "encoder.onnx",
        nodes,
        {**GRID_SHAPES, "pitch": (), "velocity": ()},
        {"timbre": (TIMBRE_SIZE,), "family": (len(FAMILIES),)},
        {
            **used,
            "row": np.array([-1, flat.size], dtype=np.int64),
            "back": np.linalg.pinv(basis()).astype(np.float32),
            "families": families.T,
        },
    )
    return folder


def _save(path, nodes, inputs, outputs, constants, metadata=None):
    def values(shapes):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
            for name, shape in shapes.items()
        ]

    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "toy", values(inputs), values(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, path)
