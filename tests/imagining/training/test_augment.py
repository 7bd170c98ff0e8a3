"""Augmentation: what is added to latents adds decibels to control grids."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.imagining.training.augment import (
    BELL_CENTRES,
    BELL_DB,
    DECAY_DB_PER_SECOND,
    NOISE_DB,
    VARIATIONS,
    VARIED_SHARE,
    Augmentation,
    grid_of_variations,
)
from mechanical_ears.imagining.training.latents import Codec, to_features, to_vector
from mechanical_ears.resynthesis.control_grid import grid_noise_times, grid_times
from mechanical_ears.resynthesis.control_map import band_centres
from support.toy_latents import strings

KEY = 69  # 440 Hz
NOISE, DECAY = VARIATIONS - 2, VARIATIONS - 1


@pytest.fixture(scope="module")
def codec():
    """A codec that loses nothing of the variations of `KEY`; its mean is a grid at −20 dB."""
    basis = torch.linalg.qr(to_vector(grid_of_variations(KEY)).T)[0]
    grid = strings(1)
    flat = {n: torch.full_like(getattr(grid, n), -20.0) for n in ("partials", "slots", "noise")}
    mean = to_vector(to_features(grid._replace(**flat), torch.zeros(1)))[0]
    return Codec(mean, basis, torch.linspace(2.0, 1.0, VARIATIONS))


def added_decibels(codec, variation, gain):
    """Change of the grid of a note by one variation."""
    gains = torch.zeros(1, VARIATIONS)
    gains[0, variation] = gain
    latents = torch.zeros(1, 1 + VARIATIONS)
    varied = Augmentation(codec)(latents, torch.tensor([float(KEY)]), gains)
    before, after = codec.decode(latents), codec.decode(varied)
    return type(before)(*((new - old)[0].numpy() for old, new in zip(before, after, strict=True)))


@pytest.mark.parametrize("bell", [0, 2, 7])
def test_bell_follows_the_frequencies_of_partials_and_noise(codec, bell):
    added = added_decibels(codec, bell, 3.0)
    centre = BELL_CENTRES[bell]

    def expected(frequencies):
        return 3 * np.exp(-(np.log2(frequencies / centre) ** 2))

    for partial in (1, 2, 10):
        row = added.partials[partial - 1]
        assert row == pytest.approx(expected(440 * partial), abs=0.03)
    assert added.noise[:, 5] == pytest.approx(expected(band_centres()), abs=0.03)
    assert np.abs(added.cents).max() < 1e-3


def test_noise_changes_the_noise_alone(codec):
    added = added_decibels(codec, NOISE, -2.0)
    assert added.noise == pytest.approx(-2.0, abs=0.03)
    assert np.abs(added.partials).max() < 0.03


def test_decay_falls_until_the_key_is_released(codec):
    added = added_decibels(codec, DECAY, 1.5)
    assert added.partials[0] == pytest.approx(-1.5 * np.minimum(grid_times(), 3.0), abs=0.03)
    noise = -1.5 * np.minimum(grid_noise_times(), 3.0)
    assert added.noise[20] == pytest.approx(noise, abs=0.03)


def test_level_is_left_alone(codec):
    latents = torch.tensor([[-3.0, *[0.0] * VARIATIONS]])
    varied = Augmentation(codec)(latents, torch.tensor([60.0]), torch.ones(1, VARIATIONS))
    assert varied[0, 0] == -3.0


def test_random_gains_have_the_stated_spread(codec):
    gains = Augmentation(codec).random_gains(20_000, torch.Generator().manual_seed(0))
    varied = gains.abs().sum(dim=1) > 0
    assert float(varied.double().mean()) == pytest.approx(VARIED_SHARE, abs=0.02)
    spread = gains[varied].std(dim=0)
    assert spread[:NOISE].tolist() == pytest.approx([BELL_DB] * len(BELL_CENTRES), rel=0.05)
    assert float(spread[NOISE]) == pytest.approx(NOISE_DB, rel=0.05)
    decay = gains[varied][:, DECAY]
    assert decay.min() == 0, "never a slower decay"
    assert float(decay[decay > 0].square().mean().sqrt()) == pytest.approx(
        DECAY_DB_PER_SECOND, rel=0.05
    )
