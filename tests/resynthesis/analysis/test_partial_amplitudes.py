"""Partials: amplitudes that windows mix are separated, envelopes come back."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.resynthesis.analysis.framed_spectra import sinusoid_amplitudes
from mechanical_ears.resynthesis.analysis.partial_amplitudes import (
    MIN_FINE_DB,
    fit_envelope,
    separate_modes,
)
from mechanical_ears.resynthesis.control_map import GROUPS, PARTIALS, SILENCE_DB, group_weights

RATE, WINDOW = 16_000, 0.05
FREQUENCIES = np.array([400.0, 800.0, 1200.0, 1010.0, 1032.0])  # the last two are modes
AMPLITUDES = np.array([0.1, 0.2, 0.05, 0.15, 0.08])
IS_MODE = np.array([False, False, False, True, True])


def readings(frequencies=FREQUENCIES):
    """What windows of 50 ms show of the sines at each frequency, (50, frequencies)."""
    time = np.arange(RATE) / RATE
    pairs = zip(frequencies, AMPLITUDES, strict=True)
    sound = sum(a * np.sin(2 * np.pi * f * time) for f, a in pairs).astype(np.float32)
    return sinusoid_amplitudes(sound, RATE, np.linspace(0.1, 0.9, 50), WINDOW, frequencies)


def test_modes_close_to_each_other_are_separated():
    mixed = readings()  # the modes are 1.1 bins of the window apart
    assert np.abs(np.abs(mixed) - AMPLITUDES).max() > 0.05
    separated = separate_modes(mixed, FREQUENCIES, IS_MODE, WINDOW, 1e-5)
    np.testing.assert_allclose(np.abs(separated), np.tile(AMPLITUDES, (50, 1)), atol=1e-3)
    np.testing.assert_array_equal(separated[:, :3], mixed[:, :3])


@pytest.mark.xfail(strict=True, reason="modes beside partials are left out of the mixture")
def test_a_mode_beside_a_partial_is_separated():
    frequencies = np.array([400.0, 800.0, 1200.0, 2000.0, 822.0])
    separated = separate_modes(readings(frequencies), frequencies, IS_MODE, WINDOW, 1e-5)
    np.testing.assert_allclose(np.abs(separated), np.tile(AMPLITUDES, (50, 1)), atol=1e-3)


def test_partials_far_apart_are_left_alone():
    mixed = readings()[:, :3]
    assert separate_modes(mixed, FREQUENCIES[:3], np.zeros(3, np.bool_), WINDOW, 0.02) is mixed


def test_an_envelope_with_fine_structure_comes_back():
    upper = len(group_weights())
    frames = np.linspace(0, 1, 30)
    envelope = (-40 - 2 * np.arange(GROUPS)[:, None] - 20 * frames).astype(np.float32)
    fine = np.random.default_rng(0).uniform(-6, 6, upper)
    power = group_weights() @ 10 ** (envelope / 10) * 10 ** (fine / 10)[:, None]
    found, structure = fit_envelope(power.astype(np.float32))
    assert found.shape == (GROUPS, 30)
    back = 10 * np.log10(group_weights() @ 10 ** (found / 10)) + structure[:, None]
    assert np.abs(back - 10 * np.log10(power)).mean() < 0.5  # dB
    total = [p.sum(axis=0) for p in (power, 10 ** (back / 10))]
    np.testing.assert_allclose(10 * np.log10(total[1] / total[0]), 0, atol=0.3)  # dB
    assert np.corrcoef(structure, fine)[0, 1] > 0.95


def test_silent_partials():
    power = np.full((100, 20), 1e-4, dtype=np.float32)
    power[10:] = 0
    found, fine = fit_envelope(power)
    assert (fine[10:] == MIN_FINE_DB).all()
    assert np.abs(fine[:10]).max() < 1  # dB
    silent, none = fit_envelope(np.zeros((0, 20), dtype=np.float32))
    assert silent.shape == (GROUPS, 20)
    assert silent.max() == SILENCE_DB
    assert none.shape == (PARTIALS - 48,)
    assert found[0].min() > -45
