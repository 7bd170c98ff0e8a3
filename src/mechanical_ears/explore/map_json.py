"""The map as JSON for the page: columns, encoded and compressed once."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mechanical_ears.explore.open_instruments import OpenInstrument
from mechanical_ears.explore.sound_map import SoundMap
from mechanical_ears.note import FAMILIES


@dataclass(frozen=True)
class MapJson:
    """The bytes of a map.

    Attributes:
        plain: JSON.
        gzipped: the same, compressed.
        etag: entity tag of the JSON.
    """

    plain: bytes
    gzipped: bytes
    etag: str


def encode_map(
    sound_map: SoundMap | None, recorded: Sequence[OpenInstrument], nearest: Mapping[str, str]
) -> MapJson:
    """Encode a map; see `schemas.MapColumns`.

    Args:
        sound_map: the imagined instruments; None for none.
        recorded: instruments of the user's corpus.
        nearest: names of the nearest known instruments, by the ids of the recorded ones.
    """
    columns: dict[str, list[Any]] = {
        name: [] for name in ("id", "name", "x", "y", "family", "kind", "novelty", "nearest")
    }
    if sound_map is not None:
        columns["id"] += sound_map.ids
        columns["name"] += [sound_map.name(row) for row in range(len(sound_map))]
        columns["x"] += [round(float(x), 4) for x in sound_map.positions[:, 0]]
        columns["y"] += [round(float(y), 4) for y in sound_map.positions[:, 1]]
        columns["family"] += sound_map.families.tolist()
        columns["kind"] += [0] * len(sound_map)
        columns["novelty"] += [round(float(value), 3) for value in sound_map.novelty]
        columns["nearest"] += [sound_map.axes.known[index] for index in sound_map.nearest]
    for instrument in recorded:
        family = instrument.data.family
        columns["id"].append(instrument.id)
        columns["name"].append(instrument.data.name)
        columns["x"].append(round(instrument.x or 0.0, 4))
        columns["y"].append(round(instrument.y or 0.0, 4))
        columns["family"].append(-1 if family is None else FAMILIES.index(family))
        columns["kind"].append(1)
        columns["novelty"].append(round(instrument.novelty or 0.0, 3))
        columns["nearest"].append(nearest[instrument.id])
    plain = json.dumps(columns, separators=(",", ":"), ensure_ascii=False).encode()
    return MapJson(plain, gzip.compress(plain, 6), f'"{hashlib.sha256(plain).hexdigest()[:20]}"')
