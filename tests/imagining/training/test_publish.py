"""Publishing: qualities of notes with a known answer, directions of a linear world."""

from __future__ import annotations

import math

import onnx
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training import publish as module
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.publish import directions, qualities
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import grid_noise_times, grid_times
from support.toy_latents import strings, toy_codec

SILENT = -120.0


def steady(**levels):
    """Grids of one note with constant levels of single partials, dB by partial number."""
    grid = strings(1)
    partials = torch.full_like(grid.partials, SILENT)
    for name, level in levels.items():
        partials[0, int(name.removeprefix("partial_")) - 1] = level
    silent = {name: torch.full_like(getattr(grid, name), SILENT) for name in ("slots", "noise")}
    return grid._replace(partials=partials, **silent)


def test_brightness_is_the_centroid_in_octaves():
    found = [
        float(qualities(grid)["bright"])
        for grid in (
            steady(partial_1=-10.0),
            steady(partial_4=-30.0),
            steady(partial_1=-20.0, partial_3=-20.0),
        )
    ]
    assert found == pytest.approx([0.0, 2.0, 1.0], abs=0.03)


def test_attack_is_the_time_to_95_percent():
    grid = steady(partial_1=-80.0)
    rise = int((grid_times() < 0.5).sum())
    grid.partials[0, 0, rise:] = -10.0
    expected = math.log2(grid_times()[rise] + 0.002)
    assert float(qualities(grid)["attack"]) == pytest.approx(expected, abs=1e-4)


def test_noisiness_compares_held_noise_with_tones():
    grid = steady(partial_2=-10.0)
    grid.noise[0, :4, grid_noise_times() <= 3] = -40.0
    expected = -40 + 10 * math.log10(4) + 10
    assert float(qualities(grid)["noisy"]) == pytest.approx(expected, abs=0.02)


def test_sustain_is_the_last_held_level():
    grid = steady(partial_1=-10.0)
    grid.partials[0, 0] = torch.from_numpy(-10 - 6 * grid_times()).float()
    last = grid_times()[grid_times() < 3][-1]
    expected = -6 * (last - grid_times()[0])
    assert float(qualities(grid)["sustain"]) == pytest.approx(expected, abs=0.01)


def test_directions_of_linear_qualities(monkeypatch):
    """Two correlated numbers; the quality is the first: the second moves along with it."""
    rng = torch.Generator().manual_seed(0)
    timbres = torch.randn(4000, 2, generator=rng) @ torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    monkeypatch.setattr(module, "qualities", lambda grid: {"first": 5 * grid[:, 0] + 7})

    class Linear:
        def generator(self, timbre, pitch, velocity):
            return timbre

    class Identity:
        def decode(self, latents):
            return latents

    families = torch.arange(4000) % 11
    found = directions(Linear(), Identity(), timbres, families)
    assert list(found) == ["first", *FAMILIES]
    # Σ = [[4, 2], [2, 2]]; w ∝ (1, 0); d = Σ w / √(wᵀ Σ w) = (4, 2) / 2
    assert found["first"] == pytest.approx([2.0, 1.0], abs=0.08)
    mean = timbres[families == 3].mean(dim=0) - timbres.mean(dim=0)
    assert found[FAMILIES[3]] == pytest.approx(mean.tolist(), abs=1e-4)


def test_large_weights_are_stored_in_half_precision(tmp_path):
    codec, _ = toy_codec(8)
    torch.manual_seed(0)
    mapper = Networks(ImaginationShape.of(codec)).mapper
    module._export(
        tmp_path / "mapper.onnx",
        mapper,
        (torch.randn(3, 64), torch.eye(11)[:3]),
        ("z", "family"),
        ("timbre",),
        {"version": "1", "list": [1, 2]},
    )
    model = onnx.load(tmp_path / "mapper.onnx")
    types = {weight.name: weight.data_type for weight in model.graph.initializer}
    large = {name for name, kind in types.items() if kind == onnx.TensorProto.FLOAT16}
    assert len(large) == 4
    assert all(name.endswith(".half") for name in large)
    assert {each.key: each.value for each in model.metadata_props}["list"] == "[1, 2]"
    assert [each.name for each in model.graph.input] == ["z", "family"]
