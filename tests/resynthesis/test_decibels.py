"""Decibels with known answers."""

from __future__ import annotations

import numpy as np

from mechanical_ears.resynthesis.control_map import SILENCE_DB
from mechanical_ears.resynthesis.decibels import db_to_amplitude, db_to_power, power_to_db


def test_known_values():
    decibels = np.array([-20, 0, 20], dtype=np.float32)
    np.testing.assert_allclose(db_to_amplitude(decibels), [0.1, 1, 10], rtol=1e-6)
    np.testing.assert_allclose(db_to_power(decibels), [0.01, 1, 100], rtol=1e-6)
    np.testing.assert_allclose(power_to_db(np.array([0.01, 1, 100])), decibels, atol=1e-6)


def test_silence():
    assert power_to_db(np.zeros(3)).tolist() == [SILENCE_DB] * 3


def test_there_and_back():
    decibels = np.linspace(-119, 40, 50, dtype=np.float32)
    np.testing.assert_allclose(power_to_db(db_to_power(decibels)), decibels, atol=1e-4)
    np.testing.assert_allclose(db_to_amplitude(decibels) ** 2, db_to_power(decibels), rtol=1e-5)
