"""The model: opened, run, and refused if a file is damaged."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.model import Model
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from support.toy_model import (
    DECIBELS_PER_VELOCITY,
    INSTRUMENTS,
    TIMBRE_SIZE,
    basis,
    plucked,
    write_toy,
)


def test_the_generators_output_by_hand(toy):
    rng = np.random.default_rng(1)
    timbres = rng.standard_normal((11, TIMBRE_SIZE)).astype(np.float32)
    velocities = np.linspace(1, 127, 11)
    grid = toy.generate(timbres, np.linspace(21, 108, 11), velocities)
    expected = plucked()["partials"] + (timbres @ basis()).reshape(11, *GRID_SHAPES["partials"])
    expected += DECIBELS_PER_VELOCITY * (velocities - 100)[:, None, None]
    np.testing.assert_allclose(grid.partials, expected, atol=1e-3)
    assert {name: getattr(grid, name).shape[1:] for name in GRID_SHAPES} == GRID_SHAPES


def test_a_note_is_the_same_alone_and_among_others(toy):
    timbres = np.random.default_rng(2).standard_normal((20, TIMBRE_SIZE)).astype(np.float32)
    many = toy.generate(timbres, range(40, 60), [100] * 20)
    for row in (0, 7, 8, 19):
        one = toy.generate(timbres[row], [40 + row], [100])
        np.testing.assert_array_equal(one.partials[0], many.partials[row])


def test_the_encoder_inverts_the_generator(toy):
    timbres = np.random.default_rng(3).standard_normal((9, TIMBRE_SIZE)).astype(np.float32)
    pitches, velocities = np.arange(50, 59), np.arange(60, 69)
    encoded = toy.encode(toy.generate(timbres, pitches, velocities), pitches, velocities)
    np.testing.assert_allclose(encoded.timbres[:, 1:], timbres[:, 1:], atol=1e-3)
    np.testing.assert_allclose(encoded.families.sum(axis=1), 1, rtol=1e-5)


def test_the_mapper_depends_on_the_family(toy):
    zero = np.zeros(TIMBRE_SIZE, dtype=np.float32)
    mallet, vocal = toy.map_latent(zero, {"mallet": 1}), toy.map_latent(zero, {"vocal": 1})
    assert np.abs(mallet - vocal).max() > 0.5
    half = toy.map_latent(zero, {"mallet": 0.5, "vocal": 0.5})
    np.testing.assert_allclose(half, (mallet + vocal) / 2, atol=1e-6)


def test_the_metadata(toy):
    assert toy.metadata["licence"] == "CC0-1.0"
    assert tuple(toy.instruments) == INSTRUMENTS
    assert toy.timbres.shape == (2, TIMBRE_SIZE)
    assert toy.directions["bright"].argmax() == 1
    assert len(toy.sha256) == 64


def run_all(model):
    model.map_latent(np.zeros(TIMBRE_SIZE), {"mallet": 1})
    grid = model.generate(np.zeros(TIMBRE_SIZE), [60], [100])
    model.encode(grid, [60], [100])


@pytest.mark.parametrize("name", ["generator.onnx", "mapper.onnx", "encoder.onnx"])
@pytest.mark.parametrize("damage", ["missing", "cut", "text", "another"])
def test_damaged_weights_are_named(tmp_path, toy_weights, name, damage):
    folder = tmp_path / "weights"
    shutil.copytree(toy_weights, folder)
    file = folder / name
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "text":
        file.write_text("these are not weights\n")
    else:
        other = "mapper.onnx" if name == "encoder.onnx" else "encoder.onnx"
        shutil.copy(folder / other, file)
    with pytest.raises(EarsError) as caught:
        run_all(Model(folder))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "2"}, "version 2"),
        ({"version": "2"}, "update mechanical-ears"),
        ({"directions": "{"}, "metadata is damaged"),
        ({"spread": "[1, 2]"}, "not 64 finite numbers"),
        ({"instruments": json.dumps(["only one"])}, "2 timbres for 1 instruments"),
    ],
)
def test_other_weights_are_refused(tmp_path, changes, words):
    folder = write_toy(tmp_path / "weights", **changes)
    with pytest.raises(EarsError, match=words):
        Model(folder)


def test_no_folder(tmp_path):
    with pytest.raises(EarsError, match=r"no such folder of weights; give one with mapper\.onnx"):
        Model(tmp_path / "none")
