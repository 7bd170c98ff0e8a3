"""Splits in which train, validation and test share no instrument and no recording.

Instruments that share recordings (two presets that use the same sample) form a group; groups with a
common instrument form a connected component, and a component is assigned to one side as a whole.
Components are shuffled by the seed within each family and taken from the families in turn, so that
the held-out sides contain many families. Each goes to the held-out side with the smallest part of
its target, if it fits there, and otherwise to train.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mechanical_ears.errors import CorpusError

SPLITS = ("train", "validation", "test")
UNSPLIT = ""  # side of the notes in a store without a split
OVERFILL_TOLERANCE = 0.2  # by how much a component may overfill a held-out side, of its target


def connected_components(
    instruments: Iterable[str], groups: Sequence[frozenset[str]]
) -> list[tuple[str, ...]]:
    """Join instruments that are connected through groups.

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
        note_counts: number of notes of each instrument.
        families: family of each instrument, or None.
        groups: instruments that share recordings.
        shares: of the notes, for train, validation and test; they sum to 1.
        seed: of the order of the components.

    Returns:
        For each instrument one of ``SPLITS``.

    Raises:
        CorpusError: the shares do not sum to 1, or there are too few independent instruments.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        problem = f"the shares {shares} of train, validation and test do not sum to 1"
        raise CorpusError(problem, remedy="give three numbers such as 0.8 0.1 0.1")
    pools: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for component in connected_components(note_counts, groups):
        pools[families[component[0]] or ""].append(component)
    for pool in pools.values():
        pool.sort(key=lambda names: hashlib.sha256(f"{seed}/{names[0]}".encode()).digest())
    ranks = itertools.zip_longest(*pools.values())
    ordered = [component for rank in ranks for component in rank if component]
    total = sum(note_counts.values())
    targets = {side: share * total for side, share in zip(SPLITS, shares, strict=True)}
    filled = dict.fromkeys(SPLITS, 0.0)
    sides: dict[str, str] = {}
    for component in ordered:
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
            f"{len(ordered)} independent instruments are too few for the split {shares}: "
            f"{' and '.join(missing)} would be empty",
            remedy="use more instruments, or another --split",
        )
    return sides
