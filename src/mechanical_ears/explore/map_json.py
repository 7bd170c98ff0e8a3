"""The map as it travels to the page: JSON in columns, packed once."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mechanical_ears.explore.open_instruments import Opened
from mechanical_ears.explore.sound_map import SpaceMap
from mechanical_ears.note import FAMILIES


@dataclass(frozen=True)
class Columns:
    """The bytes of a map.

    Attributes:
        plain: JSON.
        packed: the same, gzipped.
        etag: of it.
    """

    plain: bytes
    packed: bytes
    etag: str


def columns_of(
    space: SpaceMap | None, real: Sequence[Opened], nearest: Mapping[str, str]
) -> Columns:
    """A map in columns; see `models.Space`.

    Args:
        space: imagined instruments; None for none.
        real: instruments of a corpus.
        nearest: by their ids the nearest known instruments.
    """
    told: dict[str, list[Any]] = {
        name: [] for name in ("id", "name", "x", "y", "family", "kind", "novelty", "nearest")
    }
    if space is not None:
        told["id"] += space.ids
        told["name"] += [space.name(row) for row in range(len(space))]
        told["x"] += [round(float(x), 4) for x in space.places[:, 0]]
        told["y"] += [round(float(y), 4) for y in space.places[:, 1]]
        told["family"] += space.families.tolist()
        told["kind"] += [0] * len(space)
        told["novelty"] += [round(float(each), 3) for each in space.novelty]
        told["nearest"] += [space.axes.known[each] for each in space.nearest]
    for each in real:
        family = each.playing.family
        told["id"].append(each.id)
        told["name"].append(each.playing.name)
        told["x"].append(round(each.x or 0.0, 4))
        told["y"].append(round(each.y or 0.0, 4))
        told["family"].append(-1 if family is None else FAMILIES.index(family))
        told["kind"].append(1)
        told["novelty"].append(round(each.novelty or 0.0, 3))
        told["nearest"].append(nearest[each.id])
    plain = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    return Columns(plain, gzip.compress(plain, 6), f'"{hashlib.sha256(plain).hexdigest()[:20]}"')
