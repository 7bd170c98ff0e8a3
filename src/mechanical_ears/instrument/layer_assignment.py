"""Assigning recordings to velocity layers by their loudness.

The number of layers is the most frequent number of recordings of a key. Where a key has as many,
they are its layers in the order of loudness. Where it has fewer, each goes to the layer whose
loudness at the nearest keys is nearest to its own; where it has more, the surplus is skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.recordings import RecordingAnalysis, SkippedFile
from mechanical_ears.instrument.zones import MAX_LAYERS
from mechanical_ears.pitch import midi_to_name

Levels = NDArray[np.float64]  # dB, of a key's layers
NAMED_RECORDINGS: Final = 2  # in the reason why another one is skipped
REFERENCE_KEYS: Final = 3  # whose layers a key with fewer recordings is compared with


@dataclass(frozen=True, eq=False)
class LayeredRecording:
    """A recording and its velocity layer.

    Attributes:
        recording: the recording.
        layer: index of the layer, 0 is the softest.
    """

    recording: RecordingAnalysis
    layer: int


def assign_layers(
    recordings: Sequence[RecordingAnalysis], loudness: Callable[[RecordingAnalysis], float]
) -> tuple[list[LayeredRecording], list[SkippedFile]]:
    """The layer of each recording; copies and surplus recordings are skipped.

    Args:
        recordings: in any order.
        loudness: any measure that rises with loudness.
    """
    skipped: list[SkippedFile] = []
    distinct: dict[str, RecordingAnalysis] = {}
    for recording in recordings:
        original = distinct.setdefault(recording.digest, recording)
        if original is not recording:
            skipped.append(SkippedFile(recording.path, f"a copy of {original.path.name}"))
    by_key: dict[int, list[RecordingAnalysis]] = {}
    for recording in distinct.values():
        by_key.setdefault(recording.key, []).append(recording)
    if not by_key:
        return [], skipped
    loud = {id(each): loudness(each) for each in distinct.values()}
    for group in by_key.values():
        group.sort(key=lambda each: loud[id(each)])
    counts = Counter(min(len(group), MAX_LAYERS) for group in by_key.values())
    layers = max(counts, key=lambda count: (counts[count], count))
    centres = (np.arange(layers) + 0.5) / layers
    levels = {
        key: np.quantile([loud[id(each)] for each in group], centres, method="hazen")
        for key, group in by_key.items()
        if len(group) == layers or (layers == MAX_LAYERS and len(group) > layers)
    }
    assigned: list[LayeredRecording] = []
    for key, group in sorted(by_key.items()):
        expected = _expected_levels(levels, key, layers)
        by_layer = _match_levels([loud[id(each)] for each in group], expected)
        assigned += [LayeredRecording(group[index], layer) for layer, index in by_layer.items()]
        names = [group[index].path.name for index in by_layer.values()]
        more = len(names) - NAMED_RECORDINGS
        used = ", ".join(names[:NAMED_RECORDINGS]) + (f" and {more} more" if more > 0 else "")
        reason = f"one more {midi_to_name(key)}; {used} used"
        surplus = [i for i in range(len(group)) if i not in by_layer.values()]
        skipped += [SkippedFile(group[index].path, reason) for index in surplus]
    return assigned, skipped


def _expected_levels(levels: Mapping[int, Levels], key: int, layers: int) -> Levels:
    """Loudness of each layer at a key: the median of the nearest keys that have all layers."""
    nearest = sorted(levels, key=lambda other: (abs(other - key), other))[:REFERENCE_KEYS]
    table = np.array([levels[other] for other in nearest], dtype=np.float64).reshape(-1, layers)
    return np.asarray(np.median(table, axis=0))


def _match_levels(loudness: Sequence[float], expected: Levels) -> dict[int, int]:
    """Index of the recording of each layer, for one key; ascending in both.

    The assignment with the smallest sum of |loudness − expected|, by dynamic programming over
    recordings and layers.

    Args:
        loudness: of the key's recordings, ascending.
        expected: loudness of each layer, float64 (layers,).
    """
    count, layers = len(loudness), len(expected)
    if count == layers:
        return {index: index for index in range(count)}
    costs = np.abs(np.array(loudness)[:, None] - expected[None, :])
    pairs = min(count, layers)
    best = np.full((count + 1, layers + 1, pairs + 1), np.inf)
    best[:, :, 0] = 0
    for row in range(1, count + 1):
        for column in range(1, layers + 1):
            unmatched = np.minimum(best[row - 1, column, 1:], best[row, column - 1, 1:])
            matched = best[row - 1, column - 1, :-1] + costs[row - 1, column - 1]
            best[row, column, 1:] = np.minimum(unmatched, matched)
    chosen: dict[int, int] = {}
    row, column, number = count, layers, pairs
    while number:
        cost = best[row, column, number]
        if row and cost == best[row - 1, column, number]:
            row -= 1
        elif cost == best[row, column - 1, number]:
            column -= 1
        else:
            row, column, number = row - 1, column - 1, number - 1
            chosen[column] = row
    return chosen
