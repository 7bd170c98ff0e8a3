"""The networks that imagine: opened, run, and refused where something is wrong with them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.model import Model
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from mechanical_ears.rng import normal, uniform
from support.toy_model import DECIBELS_A_STEP, INSTRUMENTS, TIMBRE, basis, plucked, write_toy


def test_generates_what_its_networks_say(toy):
    chance = np.random.default_rng(1)
    timbres = chance.standard_normal((11, TIMBRE)).astype(np.float32)
    velocities = np.linspace(1, 127, 11)
    told = toy.generate(timbres, np.linspace(21, 108, 11), velocities)
    expected = plucked()["partials"] + (timbres @ basis()).reshape(11, *GRID_SHAPES["partials"])
    expected += DECIBELS_A_STEP * (velocities - 100)[:, None, None]
    np.testing.assert_allclose(told.partials, expected, atol=1e-3)
    assert {name: getattr(told, name).shape[1:] for name in GRID_SHAPES} == GRID_SHAPES


def test_one_note_is_the_same_in_any_company(toy):
    timbres = np.random.default_rng(2).standard_normal((20, TIMBRE)).astype(np.float32)
    many = toy.generate(timbres, range(40, 60), [100] * 20)
    for place in (0, 7, 8, 19):
        one = toy.generate(timbres[place], [40 + place], [100])
        np.testing.assert_array_equal(one.partials[0], many.partials[place])


def test_the_encoder_undoes_the_generator(toy):
    timbres = np.random.default_rng(3).standard_normal((9, TIMBRE)).astype(np.float32)
    pitches, velocities = np.arange(50, 59), np.arange(60, 69)
    back = toy.encode(toy.generate(timbres, pitches, velocities), pitches, velocities)
    np.testing.assert_allclose(back.timbres[:, 1:], timbres[:, 1:], atol=1e-3)
    np.testing.assert_allclose(back.families.sum(axis=1), 1, rtol=1e-5)


def test_draws_from_z_and_family(toy):
    zero = np.zeros(TIMBRE, dtype=np.float32)
    mallet, vocal = toy.draw(zero, {"mallet": 1}), toy.draw(zero, {"vocal": 1})
    assert np.abs(mallet - vocal).max() > 0.5
    half = toy.draw(zero, {"mallet": 0.5, "vocal": 0.5})
    np.testing.assert_allclose(half, (mallet + vocal) / 2, atol=1e-6)


def test_tells_what_it_is(toy):
    assert toy.about["licence"] == "CC0-1.0"
    assert tuple(toy.instruments) == INSTRUMENTS
    assert toy.timbres.shape == (2, TIMBRE)
    assert toy.directions["bright"].argmax() == 1
    assert len(toy.sha256) == 64


def test_the_lot_is_the_same_for_ever():
    np.testing.assert_allclose(
        uniform(7, 3), [0.6250954666046671, 0.8972138009695755, 0.7756856902451935], rtol=1e-14
    )
    many = normal(11, 100_000)
    assert abs(many.mean()) < 0.01
    assert abs(many.std() - 1) < 0.01
    assert abs(np.corrcoef(many[:50_000], many[50_000:])[0, 1]) < 0.015


def _use(imagination):
    imagination.draw(np.zeros(TIMBRE), {"mallet": 1})
    outlines = imagination.generate(np.zeros(TIMBRE), [60], [100])
    imagination.encode(outlines, [60], [100])


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
        file.write_text("these are no weights\n")
    else:
        other = "mapper.onnx" if name == "encoder.onnx" else "encoder.onnx"
        shutil.copy(folder / other, file)
    with pytest.raises(EarsError) as caught:
        _use(Model(folder))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "2"}, 'version "2"'),
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
