"""Distances with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.spectral_distance import spectral_distance

RATE = 16_000


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(4 * RATE).astype(np.float32) * 0.1


def test_a_sound_is_no_distance_from_itself():
    measured = spectral_distance(noise(0), noise(0), RATE)
    assert (measured.lsd, measured.mel, measured.extra) == (0, 0, 0)


@pytest.mark.parametrize("gain", [-10.0, -3.0, 6.0])
def test_a_gain_is_its_decibels(gain):
    sound = noise(0)
    measured = spectral_distance(sound, sound * np.float32(10 ** (gain / 20)), RATE)
    assert measured.lsd == pytest.approx(abs(gain), abs=0.01)
    assert measured.mel == pytest.approx(abs(gain), abs=0.01)


def test_two_noises_are_six_decibels_apart():
    measured = spectral_distance(noise(0), noise(1), RATE)
    assert measured.lsd == pytest.approx(20 * np.log10(2), abs=0.1)  # 10 · 2 ln 2 / ln 10
    assert 1 < measured.mel < 4


def test_a_constant_offset_does_not_count():
    sound = noise(0)
    assert spectral_distance(sound + np.float32(0.5), sound, RATE).lsd < 0.05


def test_added_noise_counts():
    time = np.arange(4 * RATE) / RATE
    sine = (0.1 * np.sin(2 * np.pi * 500 * time)).astype(np.float32)
    measured = spectral_distance(sine, sine + noise(1) * np.float32(0.05), RATE)
    assert measured.extra > 20 > measured.lsd


def test_silence_and_another_length():
    silence = np.zeros(RATE, dtype=np.float32)
    assert spectral_distance(silence, silence, RATE).lsd == 0
    assert spectral_distance(noise(0), noise(0)[: 2 * RATE], RATE).lsd > 10
