"""Levels of notes: measures with known answers."""

import numpy as np
import pytest

from mechanical_ears.instrument.levels import (
    decay_rate,
    measure_release,
    momentary_level,
)

RATE = 48_000
TIME = np.arange(2 * RATE) / RATE
SINE = np.sin(2 * np.pi * 220 * TIME)


def decaying(rate, start=0.0):
    """A sine that falls by a number of dB per second from a time on."""
    return (SINE * 10 ** (-rate * np.maximum(TIME - start, 0) / 20)).astype(np.float32)


def test_momentary_level():
    assert momentary_level(np.full((RATE, 1), 0.5, np.float32), RATE) == pytest.approx(
        -6.02, abs=0.01
    )
    quarter = np.full((RATE // 10, 1), 0.5, np.float32)  # a quarter of 400 ms
    assert momentary_level(quarter, RATE) == pytest.approx(-12.04, abs=0.01)


@pytest.mark.parametrize("rate", [0, 5, 30])
def test_decay_rate(rate):
    assert decay_rate(decaying(rate), RATE) == pytest.approx(rate, abs=max(0.1, rate / 30))


def test_a_note_that_stops_decays_at_least_by_the_audible_range():
    stops = np.where(TIME < 0.5, SINE, 0).astype(np.float32)
    assert decay_rate(stops, RATE) == pytest.approx(60 / 0.5, rel=0.1)


@pytest.mark.parametrize("rate", [160, 16])
def test_release_is_the_time_of_80_db(rate):
    assert measure_release(decaying(rate, 1.0), RATE, 1.0) == pytest.approx(80 / rate, rel=0.06)


def test_release_ignores_noise_after_it():
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(TIME)).astype(np.float32)
    assert measure_release(decaying(160, 1.0) + noise, RATE, 1.0) == pytest.approx(0.5, abs=0.05)


def test_a_note_that_ended_before_its_key_up_has_no_release():
    ended = np.where(TIME < 0.5, SINE, 0).astype(np.float32)
    assert measure_release(ended, RATE, 1.0) is None
