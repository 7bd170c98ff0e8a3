"""A patch: its id and JSON are those of files written before; the mean of patches."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.patch import Patch, mean_patch
from mechanical_ears.imagining.residual import from_bytes, to_bytes

DATA = Path(__file__).parent / "data"
WEIGHTS = "b479a45a93e3df616ddc71000c4f4b329559a0b40e6ff34897084a681d1d2999"
# Written, and their ids computed, by version 0.1.0 before `Patch` had a module of its own.
IDS = {"organ-3": "ia723781d70b4aa279f43", "like": "i415243da797e233599fd"}


def read(name):
    """A patch of version 0.1.0, and the values of its JSON file."""
    values = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    file = DATA / f"{name}.safetensors"
    residual = file.read_bytes() if file.exists() else None
    return Patch.from_json(values, WEIGHTS, residual), values


def patch(value=0.0, **changes):
    """A patch whose timbre is ``value`` throughout."""
    fields = {"timbre": np.full(64, value, dtype=np.float32), "name": "a patch", **changes}
    return Patch(**fields)


@pytest.mark.parametrize("name", IDS)
def test_files_of_version_0_1_0_have_the_same_id(name):
    assert read(name)[0].id(WEIGHTS) == IDS[name]


@pytest.mark.parametrize("name", IDS)
def test_json_of_version_0_1_0_is_written_again(name):
    original, values = read(name)
    written = json.loads(json.dumps(original.to_json(WEIGHTS)))
    assert list(written) == [key for key in values if key in written]
    assert {**values["weights"], **written.pop("weights")} == values["weights"]
    assert written == {key: values[key] for key in written}
    assert {*values} - {*written} == {"weights", "heard", "novelty", "carried"}


def test_the_residual_of_version_0_1_0_is_read_and_written_again():
    (original, _), count = read("like"), 1
    residual = from_bytes(original.residual)
    assert len(residual) == len(residual.maps) == count
    again = from_bytes(to_bytes(residual))
    for name, values in residual.differences.items():
        np.testing.assert_array_equal(again.differences[name], values)


def test_the_id_depends_on_everything_that_sounds_and_on_the_name():
    plain = patch()
    changed = [
        plain.id("other weights"),
        *(
            patch(**change).id(WEIGHTS)
            for change in (
                {"value": 0.5},
                {"gain": 1.0},
                {"balance": (0.0,) * 5},
                {"seed": 3},
                {"name": "another"},
                {"residual": b"something"},
            )
        ),
    ]
    assert len({plain.id(WEIGHTS), *changed}) == 1 + len(changed)
    assert patch(licence="CC0", origin={"seed": 1}, family="organ").id(WEIGHTS) == plain.id(WEIGHTS)


def test_a_patch_travels_between_processes():
    original, _ = read("organ-3")
    assert pickle.loads(pickle.dumps(original)).id(WEIGHTS) == IDS["organ-3"]


def test_the_recipe_of_a_seed():
    assert read("organ-3")[0].recipe() == {"seed": 3, "family": "organ", "draw": 0}
    assert read("like")[0].recipe() is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "other"}, "not an instrument"),
        ({"version": 2}, "is of version 2, this program reads 1; update"),
        ({"balance": [1.0, 2.0]}, "has 2 keys, not 5"),
        ({"gain": 201}, "a gain is 201.0 dB"),
        ({"timbre": [float("nan")] * 64}, "not 64 finite numbers"),
        ({"weights": {"sha256": "0" * 64}}, "other weights; give those of sha256 000000000000"),
    ],
)
def test_damaged_json(changes, words):
    values = patch().to_json(WEIGHTS)
    with pytest.raises(EarsError, match=words):
        Patch.from_json({**values, **changes}, WEIGHTS)


def test_the_mean_of_patches():
    one = patch(1.0, name="one", family="organ", licence="A", gain=4.0, seed=1)
    two = patch(5.0, name="two", family="organ", licence="B", gain=-4.0, balance=(4.0,) * 5)
    mean = mean_patch([(0.75, one), (0.25, two)])
    np.testing.assert_allclose(mean.timbre, 2.0)
    assert (mean.name, mean.family, mean.licence, mean.seed) == ("one + two", "organ", "A; B", None)
    assert mean.gain == 2.0
    assert mean.balance == (1.0,) * 5
    assert mean.origin == {"between": [[0.75, "one", {}], [0.25, "two", {}]]}
    assert mean_patch([(1.0, one)]) is one
    other = patch(family="brass")
    assert mean_patch([(0.5, one), (0.5, other)]).family is None


def test_the_mean_has_a_share_of_each_residual():
    like, _ = read("like")
    mean = mean_patch([(0.25, like), (0.75, patch())])
    assert from_bytes(mean.residual).shares.tolist() == [0.25]


def test_importing_it_loads_no_inference_engine():
    code = (
        "import sys, mechanical_ears.imagining.patch; print('onnxruntime' in sys.modules,"
        " 'torch' in sys.modules, 'scipy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"] * 3
