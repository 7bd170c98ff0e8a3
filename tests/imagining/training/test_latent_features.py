"""The PyTorch twin of grid features returns what the NumPy pair returns."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training import latents
from mechanical_ears.resynthesis import grid_features
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES
from mechanical_ears.resynthesis.control_map import SILENCE_DB
from mechanical_ears.resynthesis.grid_features import LATENT_LIMITS
from support.toy_control_maps import random_grid
from support.toy_model import plucked


@pytest.fixture(params=["random", "plucked"])
def grid(request):
    """Notes with values inside and outside of the limits, and with silence."""
    result = random_grid(4)
    if request.param == "plucked":
        for name, value in plucked().items():
            getattr(result, name)[:] = value
    result.partials[:, 40:], result.slots[1], result.noise[2] = (SILENCE_DB,) * 3
    result.cents[:, :4] *= 100
    result.offsets[:, :4] *= 300
    result.fine[:, :4] = -60, -30, 5, 20
    result.ratios[:, :3] = 0.01, 3.0, 80.0
    return result


def test_to_features(grid):
    tensors = latents.grid_tensors(grid)
    level = latents.loudest_level(tensors)
    expected = grid_features.to_features(grid, LATENT_LIMITS)
    np.testing.assert_allclose(level, expected["level"], atol=1e-3)
    for name, values in latents.to_features(tensors, level)._asdict().items():
        np.testing.assert_allclose(values, expected[name], atol=2e-3, err_msg=name)


def test_from_features(grid):
    features = grid_features.to_features(grid, LATENT_LIMITS)
    features["partials"][0, :5] = 30.0  # above the limit
    features["noise"][0, :5] = -90.0  # below the soft floor
    expected = grid_features.from_features(features, LATENT_LIMITS)
    fields = {name: torch.from_numpy(features[name]) for name in GRID_SHAPES}
    level = torch.from_numpy(features["level"])
    result = latents.from_features(latents.GridTensors(**fields), level)
    for name in GRID_SHAPES:
        values, target = getattr(result, name).numpy(), getattr(expected, name)
        if name in grid_features.LEVEL_FIELDS:  # at the floor a rounding error is many decibels
            audible = target > features["level"][:, None, None] - grid_features.FLOOR_DEPTH_DB
            assert (values[~audible] < features["level"].max() - 75).all()
            values, target = values[audible], target[audible]
        np.testing.assert_allclose(values, target, atol=0.05, err_msg=name)
