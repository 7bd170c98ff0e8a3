"""Maps on disk: the same map comes back; other and damaged files are refused."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pytest

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map import ControlMap, ControlMapError
from mechanical_ears.resynthesis.control_map_file import (
    from_bytes,
    load_control_map,
    save_control_map,
    to_bytes,
)
from support.toy_control_maps import make_control_map


def same(one: ControlMap, other: ControlMap) -> bool:
    fields = [field.name for field in dataclasses.fields(ControlMap)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in fields)


def test_the_same_map_comes_back(tmp_path):
    for number, note in enumerate(Toy(12, instruments=6)):
        control_map = analyse(note)
        path = save_control_map(control_map, tmp_path / f"{number}.safetensors")
        back = load_control_map(path)
        assert same(control_map, back)
        assert path.stat().st_size <= 40_000


def test_the_library_reads_the_same(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    path = save_control_map(make_control_map(), tmp_path / "map.safetensors")
    arrays = safetensors.load_file(path)
    assert arrays["singles"].shape == (3, 144)
    assert np.all(arrays["singles"][1] == -30)


def change_header(data: bytes, **changes: str) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"].update(changes)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def test_a_newer_version():
    with pytest.raises(ControlMapError, match="version 2, this program reads 1; update"):
        from_bytes(change_header(to_bytes(make_control_map()), version="2"), "map.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": "145"},
        {"frames": "many"},
        {"frequency": "nan"},
        {"divisor": "9"},
        {"key_up": "5.0"},
        {"seconds": "-1"},
    ],
)
def test_a_damaged_header(changes):
    with pytest.raises(ControlMapError, match="damaged"):
        from_bytes(change_header(to_bytes(make_control_map()), **changes))


def test_damaged_files(tmp_path):
    data = to_bytes(make_control_map())
    for length in (0, 5, 8, 100, 700, len(data) - 1):
        with pytest.raises(ControlMapError, match="damaged"):
            from_bytes(data[:length])
    with pytest.raises(ControlMapError, match="no such file"):
        load_control_map(tmp_path / "absent.safetensors")


def test_any_damage_is_a_control_map_error_or_none():
    data = to_bytes(make_control_map())
    random = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(data)
        for place in random.integers(0, 1200, 3):
            broken[place] = random.integers(0, 256)
        with contextlib.suppress(ControlMapError):
            from_bytes(bytes(broken))


def test_another_safetensors_file():
    with pytest.raises(ControlMapError, match="not a control map"):
        from_bytes(change_header(to_bytes(make_control_map()), format="something"))
