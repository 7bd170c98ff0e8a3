"""The benchmark of imagined notes: which notes are tracked, how notes are degraded."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from imagination import DEGRADATIONS, middle, named_generators
from mechanical_ears.pitch import midi_to_hz


def tone(*partials):
    time = np.arange(64_000) / 16_000
    frequency = midi_to_hz(60)
    return sum(0.1 * np.sin(2 * np.pi * n * frequency * time) for n in partials).astype(np.float32)


def test_tracked_keys_are_spread_evenly_over_the_middle():
    keys = np.array([21, 36, 40, 96, 97, 50, 60, 70])
    assert list(middle(keys, 3)) == [1, 3, 6]
    assert list(middle(keys, 100)) == [1, 2, 3, 5, 6, 7]


def test_degraded_notes():
    both = tone(1, 6)
    first = tone(1)
    dull = DEGRADATIONS["the first four partials alone"](both, 60)
    assert np.abs(dull - first)[1000:-1000].max() < 0.001
    assert np.array_equal(DEGRADATIONS["backwards"](both, 60), both[::-1])
    late = DEGRADATIONS["attack of 0.3 s"](first, 60)
    assert np.abs(late[:480]).max() < 0.1 * np.abs(first).max() * 1.01
    assert np.array_equal(late[4800:], first[4800:])
    noise = DEGRADATIONS["white noise 20 dB below"](first, 60) - first
    assert 20 * np.log10(noise.std() / first.std()) == pytest.approx(-20, abs=0.2)
    assert np.abs(DEGRADATIONS["a sine at the key"](both, 60) - first).max() < 1e-4


def test_models_and_generators_need_names():
    with pytest.raises(SystemExit, match="give NAME=DIR"):
        named_generators(["somewhere"], [], 0)
    with pytest.raises(SystemExit, match="give NAME=MODULE:PATH"):
        named_generators([], ["gan=module"], 0)
