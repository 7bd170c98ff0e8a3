"""Windows and their lobes, against direct sums."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.window_functions import hann, hann_lobe, nuttall


def lobe(window, offset):
    """Of a window, at some bins from its middle, by its definition; 1 in the middle."""
    middle = np.arange(len(window)) - (len(window) - 1) / 2
    return window @ np.cos(2 * np.pi * offset * middle / len(window)) / window.sum()


@pytest.mark.parametrize("length", [64, 1001])
def test_hann(length):
    window = hann(length).astype(np.float64)
    np.testing.assert_allclose(
        window, np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2, atol=1e-7
    )
    for offset in (0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5):
        assert hann_lobe(np.array(offset)) == pytest.approx(lobe(window, offset), abs=2e-3)
    assert hann_lobe(np.array([0.0, 0.5, 1.0, 2.0])) == pytest.approx(
        [1, 8 / (3 * np.pi), 0.5, 0], abs=1e-4
    )


def test_nuttall_has_no_side_lobes():
    window = nuttall(512).astype(np.float64)
    assert 20 * np.log10(abs(lobe(window, 0.0))) == 0
    for offset in np.arange(4.0, 60, 0.11):
        assert abs(lobe(window, offset)) < 10 ** (-92 / 20)
    assert abs(lobe(window, 3.0)) > 10 ** (-92 / 20)  # within the main lobe


def test_caches_are_bounded():
    for window in (hann, nuttall):
        assert window.cache_info().maxsize <= 64
