"""Constants of the analytic render against direct sums."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mechanical_ears.listening.frontend import SAMPLE_RATE
from mechanical_ears.resynthesis.differentiable.frame_responses import (
    TABLE_STEPS,
    band_responses,
    window_means,
)
from mechanical_ears.resynthesis.differentiable.magnitude import sum_responses
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.window_functions import hann_lobe


def test_responses_of_bands():
    bins, random = 33, np.random.default_rng(0)
    filters = random.uniform(0, 1, (bins, 3)).astype(np.float32)
    filters[:5, 1] = filters[20:, 1] = 0  # a band of some bins
    offsets = np.arange(bins * TABLE_STEPS) / TABLE_STEPS
    lobe = hann_lobe(offsets) ** 2
    found = band_responses(lobe, filters)
    for row in (0, 1, 30, 57, bins * TABLE_STEPS - TABLE_STEPS):
        distance = np.abs(row / TABLE_STEPS - np.arange(bins))
        expected = (hann_lobe(distance) ** 2) @ filters
        np.testing.assert_allclose(found[row], expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("power", [1, 2])
def test_means_over_windows(power):
    times, centres, length = np.array([0.0, 0.1, 0.4, 1.0]), np.array([0.0, 0.3, 0.95]), 0.2
    weights = window_means(times, centres, length, power)
    values = np.array([1.0, -2.0, 4.0, 3.0])
    for place, centre in enumerate(centres):
        fine = np.linspace(centre - length / 2, centre + length / 2, 20_001)
        window = np.cos(np.pi * (fine - centre) / length) ** (2 * power)
        inside = (fine >= 0) & (fine <= 1)
        read = np.where(inside, np.interp(fine, times, values), 0)
        expected = (window * read).sum() / window.sum()
        assert values @ weights[:, place] == pytest.approx(expected, abs=0.02)


def test_the_torch_interpolation_is_numpys():
    table = np.random.default_rng(1).standard_normal((40, 5)).astype(np.float32)
    hertz = np.random.default_rng(2).uniform(-100, 9000, (2, 30, 1)).astype(np.float32)
    step = SAMPLE_RATE / 2 / (len(table) - TABLE_STEPS)  # Hz between rows
    found = sum_responses(torch.from_numpy(table), torch.from_numpy(hertz), torch.ones(hertz.shape))
    at_rows = interpolation(np.arange(40) * step, hertz.ravel(), np.float64)
    expected = at_rows.rows(table).reshape(2, 30, 5)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    pairs = torch.from_numpy(hertz.reshape(2, 15, 2))
    sums = sum_responses(torch.from_numpy(table), pairs, torch.tensor([1.0, -2.0]).expand(2, 15, 2))
    weighted = expected.reshape(2, 15, 2, 5) * np.array([1, -2])[:, None]
    np.testing.assert_allclose(sums, weighted.sum(axis=2), atol=1e-2)
