"""What the server can do, without HTTP: open instruments, play, hear and place them on the map."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import hearing, instrument_files, worker_tasks
from mechanical_ears.explore.corpus_instruments import Recorded
from mechanical_ears.explore.favourites import Favourite, Favourites
from mechanical_ears.explore.map_json import Columns, columns_of
from mechanical_ears.explore.open_instruments import Instruments, Opened, Playing
from mechanical_ears.explore.sound_map import SpaceMap
from mechanical_ears.explore.worker_pool import SLOW, Rendering
from mechanical_ears.imagining.patch import Patch

SURPRISES: Final = 1_000_000  # seeds among which a surprise is drawn
SHARED_BYTES: Final = 64 << 10  # of a shared instrument, without what it carries
CARRIED: Final = "carried_base64"  # in a shared file: what stands beside an instrument.json
NEAR: Final = 6  # instruments of the map that a recording is compared with


class UnknownError(EarsError):
    """There is nothing of that id."""


@dataclass(frozen=True)
class Near:
    """An instrument of the map and how like it is."""

    id: str
    name: str
    likeness: float


@dataclass(frozen=True, eq=False)
class Recording:
    """An uploaded recording, heard.

    Attributes:
        heard: as JSON has it.
        x: on the map; None for silence.
        y: the same.
        nearest: of the map.
        instrument: like it; None where there can be none.
        problem: why.
    """

    heard: dict[str, Any]
    x: float | None
    y: float | None
    nearest: list[Near]
    instrument: Opened | None
    problem: str | None


@dataclass(frozen=True, eq=False)
class Kept:
    """A favourite and its instrument.

    Attributes:
        favourite: the row.
        instrument: open; None where it cannot be opened.
        problem: why.
    """

    favourite: Favourite
    instrument: Opened | None
    problem: str | None


class Studio:
    """The instruments of a server and who works on them.

    Args:
        rendering: its workers, started.
        weights: theirs.
        favourites: the user's.
    """

    def __init__(
        self, rendering: Rendering, weights: worker_tasks.Weights, favourites: Favourites
    ) -> None:
        self.rendering = rendering
        self.weights = weights
        self.favourites = favourites
        self.space: SpaceMap | None = None
        self.real: dict[str, Opened] = {}
        self.real_nearest: dict[str, str] = {}
        self.mapping: dict[str, int] | None = None
        self.corpus: str | None = None
        self._columns: Columns | None = None
        self._rows: dict[str, int] = {}
        self._instruments = Instruments()

    @property
    def points(self) -> int:
        """Instruments on the map."""
        return len(self._rows) + len(self.real)

    def look(self, space: SpaceMap) -> None:
        """Take a map."""
        self._rows = {name: row for row, name in enumerate(space.ids)}
        self.space = space
        self._columns = None

    def changed(self) -> None:
        """Tell that instruments were added to the map."""
        self._columns = None

    def columns(self) -> Columns:
        """The map as it travels."""
        if self._columns is None:
            self._columns = columns_of(self.space, list(self.real.values()), self.real_nearest)
        return self._columns

    def opened(self, name: str) -> Opened:
        """An open instrument, or one of the map.

        Raises:
            UnknownError: none of that id is known.
        """
        found = self.real.get(name) or self._instruments.get(name)
        if found is None and name in self._rows and self.space is not None:
            found = self._of_map(self._rows[name], self.space)
        if found is None:
            raise UnknownError(
                f"the instrument {name} is not open",
                remedy="open it again by its recipe; what is like a recording needs the recording",
            )
        return found

    def _of_map(self, row: int, space: SpaceMap) -> Opened:
        patch = space.patch(row)
        x, y = (float(value) for value in space.places[row])
        novelty = float(space.novelty[row])
        recipe = patch.recipe() or {}
        return self._instruments.add(Opened(space.ids[row], patch, recipe, x, y, novelty))

    def _added(self, patch: Patch) -> Opened:
        name = patch.id(self.weights.sha256)
        if name in self._rows:
            return self.opened(name)
        recipe = patch.recipe() or self._recipe(patch)
        place = None if self.space is None else self.space.among_timbres(patch.timbre)
        return self._instruments.add(Opened(name, patch, recipe, *(place or (None, None))))

    def _recipe(self, patch: Patch) -> dict[str, Any]:
        if patch.residual is not None:
            return {"id": patch.id(self.weights.sha256)}
        return {"share": patch.to_json(self.weights.sha256)}

    async def seed(
        self, seed: int | None, family: str | None, draw: int | None, turn: Mapping[str, float]
    ) -> Opened:
        """Open an instrument that is drawn by lot; None draws the seed, too."""
        seed = secrets.randbelow(SURPRISES) if seed is None else seed
        key = ("drawn", seed, family, draw)
        patch = await self.rendering.do(
            key, worker_tasks.drawn, seed, family, draw, size=_patch_size
        )
        return await self._turned(self._added(patch), turn)

    async def blend(self, parts: Sequence[tuple[str, float]], turn: Mapping[str, float]) -> Opened:
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
        playing = [(share, each.playing) for share, each in shares]
        return await self._blended(key, playing, turn)

    async def turned(self, name: str, turn: Mapping[str, float]) -> Opened:
        """Open an open instrument with its qualities turned by standard deviations."""
        return await self._turned(self.opened(name), turn)

    async def _turned(self, opened: Opened, turn: Mapping[str, float]) -> Opened:
        turn = {name: value for name, value in turn.items() if value}
        if not turn:
            return opened
        key = ("turn", opened.id, *sorted(turn.items()))
        return await self._blended(key, [(1.0, opened.playing)], turn)

    async def _blended(
        self, key: object, parts: Sequence[tuple[float, Playing]], turn: Mapping[str, float]
    ) -> Opened:
        made = await self.rendering.do(
            key, worker_tasks.blended, parts, dict(turn), size=_patch_size
        )
        return self._added(made)

    async def shared(self, about: Mapping[str, Any], turn: Mapping[str, float]) -> Opened:
        """Open an instrument that somebody shared.

        Raises:
            EarsError: it is damaged, or of other weights.
        """
        told = {name: value for name, value in about.items() if name not in (CARRIED, "heard")}
        if len(json.dumps(told)) > SHARED_BYTES:
            raise EarsError("the file is too long for an instrument")
        text = about.get(CARRIED)
        try:
            carried = None if text is None else base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise EarsError("the file is damaged: what it carries cannot be read") from error
        if carried is None and told.get("carried") is not None:
            raise EarsError(
                "the file is not whole: what it carries of recordings stood beside it",
                remedy="share it from the page, which puts both into one",
            )
        key = ("shared", secrets.token_hex(8))
        patch = await self.rendering.do(key, instrument_files.shared, told, carried, again=False)
        return await self._turned(self._added(patch), turn)

    async def share(self, name: str) -> tuple[str, bytes]:
        """An instrument's name, and the JSON file to share."""
        patch = self._patch(name)
        told = await self.rendering.do(("share", name), instrument_files.share, patch, kind=SLOW)
        if patch.residual is not None:
            told[CARRIED] = base64.b64encode(patch.residual).decode()
        return patch.name, json.dumps(told, indent=1, ensure_ascii=False).encode()

    def _patch(self, name: str) -> Patch:
        playing = self.opened(name).playing
        if isinstance(playing, Recorded):
            raise EarsError(
                "an instrument of your corpus cannot be kept or shared",
                remedy="turn or blend it: what is imagined of it can",
            )
        return playing

    async def note(self, name: str, pitch: int, velocity: int, seconds: float) -> bytes:
        """A note as a WAV file."""
        opened = self.opened(name)
        key = ("note", opened.id, pitch, velocity, seconds)
        answer: bytes = await self.rendering.do(
            key, worker_tasks.note, opened.playing, pitch, velocity, seconds, size=len
        )
        return answer

    async def hear(self, name: str) -> Opened:
        """Let the ears hear an instrument, and place it by what they hear."""
        opened = self.opened(name)
        if opened.heard is None:
            key = ("hearing", opened.id)
            heard: hearing.Heard = await self.rendering.do(
                key, hearing.hearing, opened.playing, kind=SLOW
            )
            opened.heard, opened.novelty = heard.told, heard.novelty
            if name not in self._rows and name not in self.real:
                opened.x, opened.y = self._place(heard.likenesses)
        return opened

    def _place(self, likenesses: np.ndarray) -> tuple[float | None, float | None]:
        place = None if self.space is None else self.space.among_likenesses(likenesses)
        return (None, None) if place is None else place

    async def record(self, data: bytes, name: str) -> Recording:
        """Hear a recording, place it on the map, and imagine an instrument like it.

        Raises:
            SoundError: it is no sound file.
        """
        key = ("recording", secrets.token_hex(8))
        heard: hearing.HeardRecording = await self.rendering.do(
            key, hearing.heard_recording, data, name, kind=SLOW, again=False
        )
        x, y, nearest = None, None, []
        if heard.likenesses is not None:
            x, y = self._place(heard.likenesses)
            nearest = self._nearest(heard.likenesses)
        opened = None if heard.patch is None else self._added(heard.patch)
        if opened is not None:
            opened.x, opened.y = x, y
        return Recording(heard.told, x, y, nearest, opened, heard.problem)

    def _nearest(self, likenesses: np.ndarray) -> list[Near]:
        if self.space is None:
            return []
        space = self.space
        rows = space.nearest_rows(likenesses, NEAR)
        return [Near(space.ids[row], space.name(row), likeness) for row, likeness in rows]

    def keep(self, name: str, called: str | None) -> Kept:
        """Keep an open instrument as a favourite."""
        patch = self._patch(name)
        about = patch.to_json(self.weights.sha256)
        row = self.favourites.add(called or patch.name, about, patch.residual)
        return Kept(row, self.opened(name), None)

    def kept(self, row: Favourite) -> Kept:
        """A favourite with its instrument, opened where the weights are still the same."""
        weights = str(row.about["weights"]["sha256"])
        if weights != self.weights.sha256:
            return Kept(
                row,
                None,
                f"it was imagined with other weights ({weights[:12]}): start explore with "
                "--model and their folder to hear it",
            )
        return Kept(row, self._added(Patch.from_json(row.about, weights, row.carried)), None)


def _patch_size(patch: Patch) -> int:
    return 2048 + len(patch.residual or b"")
