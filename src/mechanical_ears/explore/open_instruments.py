"""The instruments that a server has open, by their ids: bounded, the longest unused go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mechanical_ears.explore.corpus_instruments import Recorded
from mechanical_ears.imagining.patch import Patch

MOST: Final = 2000  # instruments that are kept open

Playing = Patch | Recorded


@dataclass(eq=False)
class Opened:
    """An instrument of a server.

    Attributes:
        id: opaque.
        playing: what it is made of.
        recipe: how it is opened again.
        x: on the map, −1..1; None where its place is not known.
        y: the same.
        novelty: 0..2; None until it was heard.
        heard: what the ears hear in it; None until it was asked for.
    """

    id: str
    playing: Playing
    recipe: Mapping[str, Any]
    x: float | None = None
    y: float | None = None
    novelty: float | None = None
    heard: Mapping[str, Any] | None = field(default=None, repr=False)


class Instruments:
    """Open instruments.

    Args:
        most: of them.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._opened: OrderedDict[str, Opened] = OrderedDict()

    def add(self, opened: Opened) -> Opened:
        """Keep one; where it is open already, that one is given."""
        found = self._opened.setdefault(opened.id, opened)
        self._opened.move_to_end(opened.id)
        while len(self._opened) > self._most:
            self._opened.popitem(last=False)
        return found

    def get(self, name: str) -> Opened | None:
        """The instrument of an id, if it is open."""
        if name in self._opened:
            self._opened.move_to_end(name)
        return self._opened.get(name)
