"""What the server can do, without HTTP: open instruments, play, hear and place them on the map."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import tasks
from mechanical_ears.explore.instruments import Instruments, Opened
from mechanical_ears.explore.patch import Patch
from mechanical_ears.explore.rendering import SLOW, Rendering
from mechanical_ears.explore.space import SpaceMap

SURPRISES: Final = 1_000_000  # seeds among which a surprise is drawn


class UnknownError(EarsError):
    """There is nothing of that id."""


class Studio:
    """The instruments of a server and who works on them.

    Args:
        rendering: its workers, started.
        weights: theirs.
    """

    def __init__(
        self, rendering: Rendering, weights: tasks.Weights, space: SpaceMap | None = None
    ) -> None:
        self.rendering = rendering
        self.weights = weights
        self._instruments = Instruments()
        self._rows: dict[str, int] = {}
        self.space: SpaceMap | None = None
        if space is not None:
            self.look(space)

    def look(self, space: SpaceMap) -> None:
        """Take a map."""
        self._rows = {name: row for row, name in enumerate(space.ids)}
        self.space = space

    def opened(self, name: str) -> Opened:
        """An open instrument.

        Raises:
            UnknownError: none of that id is open, nor on the map.
        """
        found = self._instruments.get(name)
        if found is None and name in self._rows and self.space is not None:
            found = self._of_map(self._rows[name], self.space)
        if found is None:
            raise UnknownError(
                "no such instrument is open", record=name, remedy="open it again by its recipe"
            )
        return found

    def _of_map(self, row: int, space: SpaceMap) -> Opened:
        patch = space.patch(row)
        x, y = (float(value) for value in space.places[row])
        recipe = patch.recipe() or {}
        novelty = float(space.novelty[row])
        return self._instruments.add(Opened(space.ids[row], patch, recipe, x, y, novelty))

    async def seed(
        self, seed: int | None, family: str | None, draw: int | None, turn: Mapping[str, float]
    ) -> Opened:
        """Open an instrument that is drawn by lot; None draws the seed, too."""
        seed = secrets.randbelow(SURPRISES) if seed is None else seed
        key = ("drawn", seed, family, draw)
        patch = await self.rendering.do(key, tasks.drawn, seed, family, draw)
        return await self._turned(self._added(patch), turn)

    async def blend(
        self, parts: Sequence[tuple[str, float]], turn: Mapping[str, float]
    ) -> Opened:
        """Open what lies between open instruments.

        Args:
            parts: ids with their weights.
            turn: standard deviations by quality.
        """
        whole = sum(weight for _, weight in parts)
        shares = [(weight / whole, self.opened(name)) for name, weight in parts]
        if len(shares) == 1:
            return await self._turned(shares[0][1], turn)
        key = ("blend", *((share, each.id) for share, each in shares), *sorted(turn.items()))
        patches = [(share, each.patch) for share, each in shares]
        return self._added(await self.rendering.do(key, tasks.blended, patches, dict(turn)))

    async def turned(self, name: str, turn: Mapping[str, float]) -> Opened:
        """Open an open instrument with its qualities turned by standard deviations."""
        return await self._turned(self.opened(name), turn)

    async def _turned(self, opened: Opened, turn: Mapping[str, float]) -> Opened:
        turn = {name: value for name, value in turn.items() if value}
        if not turn:
            return opened
        key = ("turn", opened.id, *sorted(turn.items()))
        parts = [(1.0, opened.patch)]
        return self._added(await self.rendering.do(key, tasks.blended, parts, turn))

    def _added(self, patch: Patch) -> Opened:
        name = patch.id(self.weights.sha256)
        if name in self._rows:
            return self.opened(name)
        recipe = patch.recipe() or {"share": patch.about(self.weights.sha256)}
        place = None if self.space is None else self.space.among_timbres(patch.timbre)
        return self._instruments.add(Opened(name, patch, recipe, *(place or (None, None))))

    async def note(self, name: str, pitch: int, velocity: int, seconds: float) -> bytes:
        """A note as a WAV file."""
        opened = self.opened(name)
        key = ("note", opened.id, pitch, velocity, seconds)
        answer: bytes = await self.rendering.do(
            key, tasks.note, opened.patch, pitch, velocity, seconds, size=len
        )
        return answer

    async def hear(self, name: str) -> Opened:
        """Let the ears hear an instrument."""
        opened = self.opened(name)
        if opened.heard is None:
            told = await self.rendering.do(
                ("hearing", opened.id), tasks.hearing, opened.patch, kind=SLOW
            )
            opened.novelty = told.pop("novelty")
            opened.heard = told
        return opened
