"""The instruments that a server has open, by their ids; the least recently used ones are closed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.imagining.patch import Patch

MAX_OPEN: Final = 2000

InstrumentData = Patch | CorpusInstrument  # what a worker needs to play an instrument


class UnknownIdError(EarsError):
    """There is no instrument, export or favourite with an id."""


@dataclass(eq=False)
class OpenInstrument:
    """An instrument of a server.

    Attributes:
        id: opaque.
        data: what a worker needs to play it.
        recipe: how it can be opened again.
        x: position on the map, −1..1; None if unknown.
        y: position on the map, −1..1; None if unknown.
        novelty: 1 − likeness of the nearest known instrument; None until the ears have heard it.
        hearing: what the ears hear in it, as JSON; None until it has been requested.
    """

    id: str
    data: InstrumentData
    recipe: Mapping[str, Any]
    x: float | None = None
    y: float | None = None
    novelty: float | None = None
    hearing: Mapping[str, Any] | None = field(default=None, repr=False)


class OpenInstruments:
    """The open instruments by id.

    Args:
        limit: largest number of them.
    """

    def __init__(self, limit: int = MAX_OPEN) -> None:
        self._limit = limit
        self._by_id: OrderedDict[str, OpenInstrument] = OrderedDict()

    def add(self, instrument: OpenInstrument) -> OpenInstrument:
        """Add an instrument; if one with its id is already open, return that one."""
        present = self._by_id.setdefault(instrument.id, instrument)
        self._by_id.move_to_end(instrument.id)
        while len(self._by_id) > self._limit:
            self._by_id.popitem(last=False)
        return present

    def get(self, id: str) -> OpenInstrument | None:
        """The instrument with an id; None if it is not open."""
        if id in self._by_id:
            self._by_id.move_to_end(id)
        return self._by_id.get(id)
