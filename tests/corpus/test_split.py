"""Splits keep instruments and shared recordings on one side."""

from collections import Counter

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from mechanical_ears.corpus.split import SPLITS, connected_components, split_instruments
from mechanical_ears.errors import CorpusError


def test_components_join_chains_of_groups():
    groups = [frozenset("ab"), frozenset("bc"), frozenset("de")]
    assert connected_components("abcdef", groups) == [("a", "b", "c"), ("d", "e"), ("f",)]


def test_other_instruments_in_groups_are_ignored():
    assert connected_components("ab", [frozenset({"a", "elsewhere"})]) == [("a",), ("b",)]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.dictionaries(st.integers(0, 99).map(str), st.integers(1, 50), min_size=12),
    pairs=st.lists(st.tuples(st.integers(0, 99).map(str), st.integers(0, 99).map(str)), max_size=5),
    seed=st.integers(0, 5),
)
def test_every_instrument_has_a_side_and_every_group_one_side(counts, pairs, seed):
    groups = [frozenset(pair) for pair in pairs]
    families = {name: "bass" if int(name) % 2 else "organ" for name in counts}
    try:
        sides = split_instruments(counts, families, groups, (0.6, 0.2, 0.2), seed)
    except CorpusError:
        reject()  # a few very large instruments cannot be split
    assert sides.keys() == counts.keys()
    assert set(sides.values()) == set(SPLITS)
    for group in groups:
        assert len({sides[name] for name in group & sides.keys()}) <= 1


def test_shares_are_met_in_every_family():
    counts = {f"{family}-{number}": 10 for family in "ABCDE" for number in range(20)}
    families = {name: name[0] for name in counts}
    sides = split_instruments(counts, families, (), (0.8, 0.1, 0.1))
    assert Counter(sides.values()) == {"train": 80, "validation": 10, "test": 10}
    held_out = Counter(families[name] for name, side in sides.items() if side != "train")
    assert set(held_out.values()) == {4}, "each family has its share"


def test_the_seed_changes_the_split():
    counts = {str(number): 1 for number in range(40)}
    families = dict.fromkeys(counts)
    first, again, other = (
        split_instruments(counts, families, (), (0.5, 0.25, 0.25), seed) for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_bad_shares(shares):
    with pytest.raises(CorpusError, match="of train, validation and test do not sum to 1"):
        split_instruments({"a": 1}, {"a": None}, (), shares)


def test_one_large_component_cannot_be_split():
    names = {str(number): 1 for number in range(5)}
    with pytest.raises(CorpusError, match="1 independent instruments are too few"):
        split_instruments(names, dict.fromkeys(names), [frozenset(names)], (0.8, 0.1, 0.1))
