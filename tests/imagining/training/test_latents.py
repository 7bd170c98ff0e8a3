"""Latents of notes: encoding and decoding are inverse, and the components are the true ones."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.latents import (
    LEVEL_SCALE_DB,
    Codec,
    field_sizes,
    fit_codec,
    from_features,
    from_vector,
    loudest_level,
    row_weights,
    to_features,
    to_vector,
)
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from mechanical_ears.resynthesis.control_map import SILENCE_DB
from mechanical_ears.resynthesis.grid_features import FLOOR_DEPTH_DB
from support.toy_latents import random_strings, strings


def silence(count=1):
    """Grids in which nothing sounds."""
    grid = strings(count)
    levels = ("partials", "slots", "noise")
    return grid._replace(**{n: torch.full_like(getattr(grid, n), SILENCE_DB) for n in levels})


def select(grid, first, last):
    return type(grid)(*(part[first:last] for part in grid))


def random_grid(count=5):
    """Grids of random numbers within the limits of features."""
    rng = torch.Generator().manual_seed(0)
    ranges = {
        "partials": (-90, -20),
        "slots": (-90, -20),
        "noise": (-90, -40),
        "cents": (-59, 59),
        "fine": (-20, 10),
        "offsets": (-150, 150),
        "stiffness": (-7, -2),
        "ratios": (0.2, 30),
    }
    return strings(count)._replace(
        **{
            name: low + (high - low) * torch.rand(count, *GRID_SHAPES[name], generator=rng)
            for name, (low, high) in ranges.items()
        }
    )


def test_features_and_back_are_the_same():
    grid = random_grid()
    level = loudest_level(grid)
    vector = to_vector(to_features(grid, level))
    assert vector.shape == (5, sum(field_sizes().values()))
    back = from_features(from_vector(vector), level)
    for name, value in grid._asdict().items():
        torch.testing.assert_close(getattr(back, name), value, atol=0.02, rtol=1e-4)


def test_loudest_level():
    one, two, noise = silence(), silence(), silence()
    one.partials[0, 4, 30] = 0.0
    two.partials[0, 4, 30] = two.slots[0, 1, 30] = 0.0
    two.partials[0, 5, 31] = 0.0  # at another time
    noise.noise[0, :10, 7] = -20.0  # mean square; a sine's is half of its amplitude's square
    levels = [float(loudest_level(each)) for each in (one, two, noise)]
    assert levels == pytest.approx([0.0, 10 * math.log10(2), -20 + 10 * math.log10(20)], abs=0.01)
    assert float(loudest_level(silence())) < -95


def test_floor_is_soft():
    grid = silence()
    depth = FLOOR_DEPTH_DB
    grid.partials[0, 0, :4] = torch.tensor([-10.0, -10 - depth, -10 - depth - 6.0206, -110])
    features = to_features(grid, torch.tensor([-10.0]))
    expected = [0.0, -depth + 6.0206, -depth + 20 * math.log10(1.5), -depth + 0.828]
    assert features.partials[0, 0, :4].tolist() == pytest.approx(expected, abs=0.01)
    back = from_features(features, torch.tensor([-10.0]))
    assert back.partials[0, 0, 50] == SILENCE_DB


def test_vector_is_weighted():
    vector = to_vector(to_features(silence(), torch.tensor([-10.0])))[0]
    empty = -FLOOR_DEPTH_DB + 20 * math.log10(1 + 10**-1.5)  # of −110 dB
    assert float(vector[0] / row_weights()[0]) == pytest.approx(empty, abs=0.01)
    assert float(vector[63 * 96] / row_weights()[63]) == pytest.approx(empty, abs=0.01)
    assert float(row_weights()[24]) == pytest.approx(1 / math.sqrt(2))
    assert float(vector[64 * 96]) == pytest.approx(0.7 * empty, abs=0.01), "a slot"


def test_gain_changes_the_first_number_only():
    codec, _ = fit_codec([random_strings(20, 3)], 3)
    quiet = random_strings(4, 3, seed=7)
    loud = quiet._replace(partials=quiet.partials + 12, noise=quiet.noise + 12)
    difference = codec.encode(loud) - codec.encode(quiet)
    assert difference[:, 0].tolist() == pytest.approx([12 / LEVEL_SCALE_DB] * 4, abs=1e-3)
    assert float(difference[:, 1:].abs().max()) < 0.05  # what was at −120 dB is at −108


def test_components_of_few_dimensions_are_exact():
    grid = random_strings(40, 3)
    codec, latents = fit_codec([select(grid, 0, 15), select(grid, 15, 40)], 5)
    assert latents.shape == (40, 6)
    deviation = codec.deviation.tolist()
    assert deviation[:3] == sorted(deviation[:3], reverse=True)
    assert max(deviation[3:]) < 0.02 * deviation[2], "there are three"
    torch.testing.assert_close(latents[:, 1:].mean(dim=0), torch.zeros(5), atol=1e-2, rtol=0)
    torch.testing.assert_close(latents[:, 1:4].std(dim=0), torch.ones(3), atol=1e-3, rtol=0)
    few = select(grid, 30, 36)
    back = codec.decode(codec.encode(few))
    torch.testing.assert_close(back.offsets, few.offsets, atol=0.1, rtol=2e-3)
    torch.testing.assert_close(back.cents, few.cents, atol=0.1, rtol=2e-3)
    torch.testing.assert_close(back.partials, few.partials, atol=0.5, rtol=0)
    torch.testing.assert_close(codec.encode(back), codec.encode(few), atol=1e-2, rtol=0)


def test_components_are_orthonormal_and_repeatable():
    grid = random_strings(40, 6)
    codec, latents = fit_codec([grid], 4)
    torch.testing.assert_close(codec.basis.T @ codec.basis, torch.eye(4), atol=1e-4, rtol=0)
    again, same = fit_codec([grid], 4)
    assert torch.equal(codec.basis, again.basis)
    assert torch.equal(latents, same)


def test_fewer_notes_than_components():
    codec, latents = fit_codec([random_strings(5, 3)], 224)
    assert codec.basis.shape == (sum(field_sizes().values()), 5)
    assert latents.shape == (5, 6)
    blank = Codec.blank(5)
    blank.load_state_dict(codec.state_dict())
    assert torch.equal(blank.decode(latents).offsets, codec.decode(latents).offsets)
