"""Honest splits: train, validation and test never share an instrument, nor a recording.

Instruments that share recordings (two presets made of one sample) form a group; the groups that
touch each other form a component, and a component goes to one side as a whole. Components are
drawn in a seeded order that takes the families in turn, so that the held-out sides hear many
families, and each fills the side that still lacks the most notes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mechanical_ears.errors import CorpusError

SPLITS = ("train", "validation", "test")
UNSPLIT = ""  # the name of the side of notes in a store that was never split
OVERFILL_TOLERANCE = 0.2  # how far a component may overfill a held-out side, relative to its share


def connected_components(
    instruments: Iterable[str], groups: Sequence[frozenset[str]]
) -> list[tuple[str, ...]]:
    """Join instruments through shared groups.

    Returns:
        Sorted tuples of instrument names, each instrument in exactly one, sorted by first name.
    """
    parent = {name: name for name in instruments}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for group in groups:
        members = sorted(group & parent.keys())
        for member in members[1:]:
            parent[root(member)] = root(members[0])
    joined = defaultdict(list)
    for name in sorted(parent):
        joined[root(name)].append(name)
    return sorted(tuple(names) for names in joined.values())


def split_instruments(
    note_counts: Mapping[str, int],
    families: Mapping[str, str | None],
    groups: Sequence[frozenset[str]],
    shares: tuple[float, float, float],
    seed: int = 0,
) -> dict[str, str]:
    """Assign every instrument to train, validation or test.

    Args:
        note_counts: notes of each instrument.
        families: family of each instrument, or None.
        groups: instruments that share recordings.
        shares: of the notes that should be in train, validation and test; they sum to 1.
        seed: another seed, another split; the same seed, the same split.

    Returns:
        For each instrument one of ``SPLITS``.

    Raises:
        CorpusError: the shares are no shares, or there are too few instruments to keep apart.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise CorpusError(
            f"the split {shares} is no train, validation and test share of 1",
            remedy="give three numbers such as 0.8 0.1 0.1",
        )
    pools: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for component in connected_components(note_counts, groups):
        pools[families[component[0]] or ""].append(component)
    for pool in pools.values():
        pool.sort(key=lambda names: hashlib.sha256(f"{seed}/{names[0]}".encode()).digest())
    in_turn = [
        pool[turn]
        for turn in range(max(map(len, pools.values()), default=0))
        for pool in pools.values()
        if turn < len(pool)
    ]
    total = sum(note_counts.values())
    targets = {side: share * total for side, share in zip(SPLITS, shares, strict=True)}
    filled = dict.fromkeys(SPLITS, 0.0)
    sides: dict[str, str] = {}
    for component in in_turn:
        size = sum(note_counts[name] for name in component)
        held_out = [
            side
            for side in SPLITS[1:]
            if filled[side] < targets[side]
            and filled[side] + size <= targets[side] * (1 + OVERFILL_TOLERANCE)
        ]
        side = min(held_out, key=lambda side: filled[side] / targets[side], default=SPLITS[0])
        filled[side] += size
        sides.update(dict.fromkeys(component, side))
    missing = [side for side in SPLITS if targets[side] and not filled[side]]
    if missing:
        raise CorpusError(
            f"{len(in_turn)} independent instruments are too few for the split {shares}: "
            f"{' and '.join(missing)} would be empty",
            remedy="take more instruments, or another --split",
        )
    return sides
