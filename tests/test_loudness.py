"""Loudness against the reference of ITU-R BS.1770."""

import numpy as np
import pytest

from mechanical_ears.loudness import SILENCE_LUFS, loudness
from mechanical_ears.sound import Sound

RATE = 16_000


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_loudness_of_the_reference_sine(rate):
    """BS.1770: 997 Hz at full scale reads −3.01 LUFS; a gain of −20 dB lowers it by 20."""
    sine = Sound.sine(997, 4, rate).samples
    assert loudness(sine, rate) == pytest.approx(-3.01, abs=0.02)
    assert loudness(0.1 * sine, rate) == pytest.approx(-23.01, abs=0.02)


def test_loudness_is_that_of_the_loudest_moment_and_weighted():
    sine = Sound.sine(997, 4, RATE).samples.copy()
    sine[: 3 * RATE] *= 0.01
    assert loudness(sine, RATE) == pytest.approx(-3.01, abs=0.05)
    low, high = (loudness(Sound.sine(hertz, 1, RATE).samples, RATE) for hertz in (30, 4000))
    assert low < -8
    assert high == pytest.approx(0.3, abs=0.4)  # the shelf: +3.3 dB beside 997 Hz
    for samples in (0, 1, 1000):
        assert loudness(np.zeros(samples, np.float32), RATE) == SILENCE_LUFS
