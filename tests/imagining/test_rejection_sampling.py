"""The ears choose among the draws of a seed; what is taken is brought to one loudness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechanical_ears import EarsError, imagine
from mechanical_ears.imagining.instrument import HEARING_KEYS, ImaginedInstrument
from mechanical_ears.imagining.instrument_hearing import InstrumentHearing
from mechanical_ears.imagining.rejection_sampling import (
    DRAWS,
    LOUDNESS,
    NEW,
    chosen,
    lacking,
    levelled,
)
from mechanical_ears.loudness import loudness


def impression(family="mallet", wrong=0, novelty=0.5):
    heard = imagine(5, family="mallet").impression.hearings[0]
    hearings = [
        replace(heard, pitch=key + (number < wrong)) for number, key in enumerate(HEARING_KEYS)
    ]
    return InstrumentHearing(
        HEARING_KEYS, tuple(hearings), family, 0.8, (("known", 1 - novelty),), novelty
    )


@pytest.mark.parametrize(
    ("heard", "lacks"),
    [
        ({}, 0),
        ({"wrong": 1}, 0),  # of five keys one may be
        ({"wrong": 2}, 0.25),
        ({"family": "organ"}, 1),
        ({"family": None}, 1),
        ({"novelty": NEW / 2}, 0.5),
        ({"wrong": 5, "family": "organ", "novelty": 0.0}, 3),
    ],
)
def test_what_an_instrument_lacks(heard, lacks):
    assert lacking(impression(**heard), {"mallet"}) == pytest.approx(lacks)


class Draw:
    """An instrument of which only the impression is known, by number."""

    def __init__(self, *impressions):
        self.impressions, self.asked = impressions, []

    def __call__(self, number):
        self.asked.append(number)
        instrument = object.__new__(ImaginedInstrument)
        object.__setattr__(instrument, "name", f"draw {number}")
        instrument.__dict__["impression"] = self.impressions[number]
        return instrument


def test_the_first_that_convinces():
    draw = Draw(impression("organ"), impression(novelty=0.1), impression(), impression())
    assert chosen(draw, ["mallet"]).name == "draw 2"
    assert draw.asked == [0, 1, 2]


def test_none_convinces():
    draw = Draw(impression("organ"), impression(novelty=0.15), impression(novelty=0.1))
    assert chosen(draw, ["mallet"], 3).name == "draw 1"
    with pytest.raises(ValueError, match="0 draws"):
        chosen(draw, ["mallet"], 0)


def test_every_seed_is_of_the_draw_that_it_tells():
    drawn = [imagine(seed, family="organ") for seed in range(12)]
    numbers = [instrument.origin["draw"] for instrument in drawn]
    assert len({*numbers}) > 1
    for seed, instrument in enumerate(drawn):
        again = imagine(seed, family="organ", draw=instrument.origin["draw"])
        np.testing.assert_array_equal(again.timbre, instrument.timbre)
        assert again.gain == instrument.gain
    convinced = [not lacking(instrument.impression, {"organ"}) for instrument in drawn]
    first = [imagine(seed, family="organ", draw=0).impression for seed in range(12)]
    assert sum(convinced) > sum(not lacking(heard, {"organ"}) for heard in first)


def test_draws_that_there_are_not():
    for number in (-1, DRAWS):
        with pytest.raises(EarsError, match=r"outside 0\.\.7"):
            imagine(3, draw=number)
    with pytest.raises(EarsError, match="nothing is drawn"):
        imagine(morph=(3, 4), draw=1)


def test_a_morph_begins_at_the_instrument_of_its_seed():
    first, alone = imagine(morph=(3, 4), amount=0, family="organ"), imagine(3, family="organ")
    np.testing.assert_array_equal(first.timbre, alone.timbre)
    assert first.gain == pytest.approx(alone.gain, abs=0.3)  # other noise
    np.testing.assert_allclose(first.balance, alone.balance, atol=0.3)


@pytest.mark.parametrize("gain", [-20.0, 0.0, 12.0])
def test_one_loudness(gain):
    instrument = levelled(replace(imagine(3, family="organ", draw=0), gain=gain))
    told = [
        loudness(instrument.note(key, 100, sample_rate=16_000).samples, 16_000)
        for key in HEARING_KEYS
    ]
    assert np.median(told) == pytest.approx(LOUDNESS, abs=0.3)


def test_no_louder_than_there_is_room_for(toy):
    """A plucked string's peak is far above its loudness."""
    instrument = levelled(imagine(3, family="guitar", model=toy))
    peaks = [np.abs(instrument.note(key, 127).samples).max() for key in HEARING_KEYS]
    assert 0.2 < max(peaks) < 0.99


def test_the_keys_are_half_as_uneven():
    drawn = imagine(3, family="organ", draw=0)
    plain = replace(drawn, gain=0.0, balance=())

    def above(instrument):
        told = [
            loudness(instrument.note(key, 100, sample_rate=16_000).samples, 16_000)
            for key in HEARING_KEYS
        ]
        return np.array(told) - np.median(told)

    np.testing.assert_allclose(above(drawn), above(plain) / 2, atol=0.3)


def test_the_balance_is_saved(tmp_path):
    drawn = imagine(3, family="organ", draw=0)
    assert any(drawn.balance)
    again = ImaginedInstrument.load(drawn.save(tmp_path / "organ.json"))
    assert again.balance == drawn.balance
    np.testing.assert_array_equal(again.note(40).samples, drawn.note(40).samples)
