"""All instruments have one loudness, and their keys are half as uneven as generated."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears import imagine
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.imagining.loudness_match import TARGET_LUFS, match_loudness
from mechanical_ears.imagining.patch import HEARING_KEYS
from mechanical_ears.loudness import loudness


def key_loudness(instrument):
    """Loudness at each of `HEARING_KEYS`, LUFS."""
    sounds = [instrument.note(key, 100, sample_rate=16_000) for key in HEARING_KEYS]
    return np.array([loudness(sound.samples, 16_000) for sound in sounds])


@pytest.mark.parametrize("gain", [-20.0, 0.0, 12.0])
def test_one_loudness(gain):
    instrument = match_loudness(imagine(3, family="organ", candidate=0).replace(gain=gain))
    assert np.median(key_loudness(instrument)) == pytest.approx(TARGET_LUFS, abs=0.3)


def test_peaks_stay_below_full_scale(toy):
    """A plucked string's peak is far above its loudness."""
    instrument = match_loudness(imagine(3, family="guitar", model=toy))
    peaks = [np.abs(instrument.note(key, 127).samples).max() for key in HEARING_KEYS]
    assert 0.2 < max(peaks) < 0.99


def test_the_keys_are_half_as_uneven():
    matched = imagine(3, family="organ", candidate=0)
    generated = matched.replace(gain=0.0, balance=())
    levels, before = key_loudness(matched), key_loudness(generated)
    expected = (before - np.median(before)) / 2
    np.testing.assert_allclose(levels - np.median(levels), expected, atol=0.3)


def test_the_balance_is_saved(tmp_path):
    matched = imagine(3, family="organ", candidate=0)
    assert any(matched.balance)
    again = ImaginedInstrument.load(matched.save(tmp_path / "organ.json"))
    assert again.balance == matched.balance
    np.testing.assert_array_equal(again.note(40).samples, matched.note(40).samples)
