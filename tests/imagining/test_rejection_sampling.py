"""The ears choose among the candidates of a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechanical_ears import EarsError, imagine
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.imagining.instrument_hearing import InstrumentHearing
from mechanical_ears.imagining.patch import HEARING_KEYS, Patch
from mechanical_ears.imagining.rejection_sampling import (
    MAX_CANDIDATES,
    MIN_NOVELTY,
    choose_candidate,
    shortfall,
)


def hearing(family="mallet", wrong=0, novelty=0.5):
    """What the ears might hear: ``wrong`` keys a semitone too high."""
    note = imagine(5, family="mallet").hearing.hearings[0]
    hearings = [
        replace(note, pitch=key + (number < wrong)) for number, key in enumerate(HEARING_KEYS)
    ]
    return InstrumentHearing(
        HEARING_KEYS, tuple(hearings), family, 0.8, (("known", 1 - novelty),), novelty
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"wrong": 1}, 0),  # one of five keys may be wrong
        ({"wrong": 2}, 0.25),
        ({"family": "organ"}, 1),
        ({"family": None}, 1),
        ({"novelty": MIN_NOVELTY / 2}, 0.5),
        ({"wrong": 5, "family": "organ", "novelty": 0.0}, 3),
    ],
)
def test_shortfall(changes, expected):
    assert shortfall(hearing(**changes), {"mallet"}) == pytest.approx(expected)


class Candidates:
    """Candidates of which only the hearing is known, by number."""

    def __init__(self, *hearings):
        self.hearings, self.generated = hearings, []

    def __call__(self, number):
        self.generated.append(number)
        instrument = ImaginedInstrument(Patch(np.zeros(64), f"candidate {number}"), None)
        instrument.__dict__["hearing"] = self.hearings[number]
        return instrument


def test_the_first_convincing_candidate_is_chosen():
    candidates = Candidates(hearing("organ"), hearing(novelty=0.1), hearing(), hearing())
    assert choose_candidate(candidates, ["mallet"]).name == "candidate 2"
    assert candidates.generated == [0, 1, 2]


def test_without_a_convincing_candidate_the_smallest_shortfall_is_chosen():
    candidates = Candidates(hearing("organ"), hearing(novelty=0.15), hearing(novelty=0.1))
    assert choose_candidate(candidates, ["mallet"], 3).name == "candidate 1"
    with pytest.raises(ValueError, match="0 candidates"):
        choose_candidate(candidates, ["mallet"], 0)


@pytest.mark.slow
def test_a_seeds_origin_names_the_candidate():
    chosen = [imagine(seed, family="organ") for seed in range(12)]
    assert len({instrument.origin["draw"] for instrument in chosen}) > 1
    for seed, instrument in enumerate(chosen):
        again = imagine(seed, family="organ", candidate=instrument.origin["draw"])
        np.testing.assert_array_equal(again.timbre, instrument.timbre)
        assert again.gain == instrument.gain
    convincing = [not shortfall(instrument.hearing, {"organ"}) for instrument in chosen]
    first = [imagine(seed, family="organ", candidate=0).hearing for seed in range(12)]
    assert sum(convincing) > sum(not shortfall(each, {"organ"}) for each in first)


def test_candidates_out_of_range():
    for number in (-1, MAX_CANDIDATES):
        with pytest.raises(EarsError, match=r"outside 0\.\.7"):
            imagine(3, candidate=number)
    with pytest.raises(EarsError, match="only seeds have candidates"):
        imagine(morph=(3, 4), candidate=1)


def test_a_morph_begins_at_the_instrument_of_its_seed():
    first, alone = imagine(morph=(3, 4), mix=0, family="organ"), imagine(3, family="organ")
    np.testing.assert_array_equal(first.timbre, alone.timbre)
    assert first.gain == pytest.approx(alone.gain, abs=0.3)  # other noise
    np.testing.assert_allclose(first.balance, alone.balance, atol=0.3)
