"""What the server can do, without HTTP: open, play, hear, share and save instruments."""

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
from mechanical_ears.explore import hearing, instrument_files, schemas, worker_tasks
from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.explore.favourites import Favourite, Favourites
from mechanical_ears.explore.map_json import MapJson, encode_map
from mechanical_ears.explore.open_instruments import OpenInstrument, OpenInstruments, UnknownIdError
from mechanical_ears.explore.sound_map import SoundMap
from mechanical_ears.explore.worker import Task
from mechanical_ears.explore.worker_pool import BACKGROUND, WorkerPool
from mechanical_ears.imagining.patch import Patch

Changes = Mapping[str, float]  # standard deviations by quality
SURPRISE_SEEDS: Final = 1_000_000  # seeds of which a surprise is one
MAX_SHARED_LENGTH: Final = 64 << 10  # characters of a shared instrument, without its residual
RESIDUAL_KEY: Final = "carried_base64"  # of a shared file: the residual, a file beside others
SIMILAR_COUNT: Final = 6  # instruments of the map that a recording is compared with


@dataclass(frozen=True, eq=False)
class AnalysedRecording:
    """An uploaded recording.

    Attributes:
        hearing: what the ears hear in it, as JSON.
        x: position on the map; None for silence.
        y: position on the map; None for silence.
        nearest: instruments of the map.
        instrument: like the recording; None if there can be none.
        problem: why there is none.
    """

    hearing: dict[str, Any]
    x: float | None
    y: float | None
    nearest: list[schemas.SimilarInstrument]
    instrument: OpenInstrument | None
    problem: str | None


@dataclass(frozen=True, eq=False)
class OpenFavourite:
    """A favourite and its instrument.

    Attributes:
        row: of the table.
        instrument: open; None if it cannot be opened.
        problem: why it cannot be opened.
    """

    row: Favourite
    instrument: OpenInstrument | None
    problem: str | None


class ExploreService:
    """The instruments of a server and the workers that play them.

    Args:
        pool: the workers, started.
        weights: what is known about their weights.
        favourites: the user's.

    Attributes:
        sound_map: the imagined instruments of the map; None until it is loaded.
        recorded: instruments of the user's corpus on the map, by id.
        recorded_nearest: names of the known instruments that are nearest to them, by id.
        map_progress: progress of building the map, as JSON; None when it is complete.
        corpus_title: title of the user's corpus.
    """

    def __init__(
        self, pool: WorkerPool, weights: worker_tasks.WeightsInfo, favourites: Favourites
    ) -> None:
        self.pool = pool
        self.weights = weights
        self.favourites = favourites
        self.sound_map: SoundMap | None = None
        self.recorded: dict[str, OpenInstrument] = {}
        self.recorded_nearest: dict[str, str] = {}
        self.map_progress: dict[str, int] | None = None
        self.corpus_title: str | None = None
        self._map_json: MapJson | None = None
        self._rows: dict[str, int] = {}  # of the map, by id
        self._instruments = OpenInstruments()

    @property
    def points(self) -> int:
        """Number of instruments on the map."""
        return len(self._rows) + len(self.recorded)

    def set_map(self, sound_map: SoundMap) -> None:
        """Replace the imagined instruments of the map."""
        self._rows = {id: row for row, id in enumerate(sound_map.ids)}
        self.sound_map = sound_map
        self._map_json = None

    def map_changed(self) -> None:
        """Call this after instruments were added to ``recorded``."""
        self._map_json = None

    def map_json(self) -> MapJson:
        """The map for the page."""
        if self._map_json is None:
            recorded = list(self.recorded.values())
            self._map_json = encode_map(self.sound_map, recorded, self.recorded_nearest)
        return self._map_json

    def instrument(self, id: str) -> OpenInstrument:
        """An open instrument, or one of the map.

        Raises:
            UnknownInstrumentError: there is none with that id.
        """
        found = self.recorded.get(id) or self._instruments.get(id)
        if found is None and id in self._rows and self.sound_map is not None:
            found = self._open_row(self._rows[id], self.sound_map)
        if found is None:
            remedy = "open it again by its recipe; one like a recording needs the recording"
            raise UnknownIdError(f"the instrument {id} is not open", remedy=remedy)
        return found

    def _open_row(self, row: int, sound_map: SoundMap) -> OpenInstrument:
        patch = sound_map.patch(row)
        x, y = (float(value) for value in sound_map.positions[row])
        novelty = float(sound_map.novelty[row])
        return self._instruments.add(
            OpenInstrument(sound_map.ids[row], patch, patch.recipe() or {}, x, y, novelty)
        )

    def _open_patch(self, patch: Patch) -> OpenInstrument:
        id = patch.id(self.weights.sha256)
        if id in self._rows:
            return self.instrument(id)
        recipe = patch.recipe() or self._recipe(patch)
        x, y = None, None
        if self.sound_map is not None:
            x, y = self.sound_map.position_of_timbre(patch.timbre) or (None, None)
        return self._instruments.add(OpenInstrument(id, patch, recipe, x, y))

    def _recipe(self, patch: Patch) -> dict[str, Any]:
        if patch.residual is not None:
            return {"id": patch.id(self.weights.sha256)}
        return {"share": patch.to_json(self.weights.sha256)}

    async def open_seed(
        self, seed: int | None, family: str | None, candidate: int | None, changes: Changes
    ) -> OpenInstrument:
        """Open the instrument of a seed.

        Args:
            seed: None for a random one.
            family: one of `FAMILIES`; None for the one that the seed gives.
            candidate: number of the seed's candidate; None for the best one.
            changes: of qualities, standard deviations.
        """
        seed = secrets.randbelow(SURPRISE_SEEDS) if seed is None else seed
        key = ("seed", seed, family, candidate)
        opened = await self._open_result(key, worker_tasks.generate, seed, family, candidate)
        return await self._open_changed(opened, changes)

    async def open_blend(
        self, parts: Sequence[tuple[str, float]], changes: Changes
    ) -> OpenInstrument:
        """Open a blend of open instruments.

        Args:
            parts: ids and weights, which are scaled to sum to one.
            changes: of qualities, standard deviations.
        """
        total = sum(weight for _, weight in parts)
        opened = [(weight / total, self.instrument(id)) for id, weight in parts]
        if len(opened) == 1:
            return await self._open_changed(opened[0][1], changes)
        ids = ((weight, instrument.id) for weight, instrument in opened)
        key = ("blend", *ids, *sorted(changes.items()))
        parts_data = [(weight, instrument.data) for weight, instrument in opened]
        return await self._open_result(key, worker_tasks.blend, parts_data, changes)

    async def open_changed(self, id: str, changes: Changes) -> OpenInstrument:
        """Open an open instrument with changed qualities.

        Args:
            id: of the instrument.
            changes: of qualities, standard deviations.
        """
        return await self._open_changed(self.instrument(id), changes)

    async def _open_changed(self, instrument: OpenInstrument, changes: Changes) -> OpenInstrument:
        changes = {name: value for name, value in changes.items() if value}
        if not changes:
            return instrument
        key = ("change", instrument.id, *sorted(changes.items()))
        return await self._open_result(key, worker_tasks.blend, [(1.0, instrument.data)], changes)

    async def _open_result(self, key: object, task: Task, *arguments: object) -> OpenInstrument:
        return self._open_patch(await self.pool.run(key, task, *arguments, size=_patch_bytes))

    async def open_shared(self, file: Mapping[str, Any], changes: Changes) -> OpenInstrument:
        """Open a shared instrument.

        Args:
            file: its JSON.
            changes: of qualities, standard deviations.

        Raises:
            EarsError: it is damaged, or of other weights.
        """
        values = {key: value for key, value in file.items() if key not in (RESIDUAL_KEY, "heard")}
        if len(json.dumps(values)) > MAX_SHARED_LENGTH:
            raise EarsError("the file is too long for an instrument")
        text = file.get(RESIDUAL_KEY)
        try:
            residual = None if text is None else base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise EarsError("the file is damaged: its residual cannot be read") from error
        if residual is None and values.get("carried") is not None:
            raise EarsError(
                "the file is incomplete: its residual is in a second file",
                remedy="share it from the page, which writes both into one file",
            )
        key = ("shared", secrets.token_hex(8))
        task = instrument_files.from_shared_json
        patch = await self.pool.run(key, task, values, residual, retry=False)
        return await self._open_changed(self._open_patch(patch), changes)

    async def share(self, id: str) -> tuple[str, bytes]:
        """An instrument's name, and the JSON file to share."""
        patch = self._patch(id)
        task = instrument_files.to_shared_json
        values = await self.pool.run(("share", id), task, patch, priority=BACKGROUND)
        if patch.residual is not None:
            values[RESIDUAL_KEY] = base64.b64encode(patch.residual).decode()
        return patch.name, json.dumps(values, indent=1, ensure_ascii=False).encode()

    def _patch(self, id: str) -> Patch:
        data = self.instrument(id).data
        if isinstance(data, CorpusInstrument):
            problem = "an instrument of your corpus cannot be saved or shared"
            raise EarsError(problem, remedy="change or blend it: the imagined result can")
        return data

    async def note(self, id: str, pitch: int, velocity: int, seconds: float) -> bytes:
        """A note as a WAV file."""
        instrument = self.instrument(id)
        key = ("note", instrument.id, pitch, velocity, seconds)
        arguments = (instrument.data, pitch, velocity, seconds)
        wav: bytes = await self.pool.run(key, worker_tasks.render_note, *arguments, size=len)
        return wav

    async def hear(self, id: str) -> OpenInstrument:
        """Let the ears hear an instrument, and update its position on the map."""
        instrument = self.instrument(id)
        if instrument.hearing is None:
            key, task = ("hearing", instrument.id), hearing.hear_instrument
            analysis = await self.pool.run(key, task, instrument.data, priority=BACKGROUND)
            instrument.hearing, instrument.novelty = analysis.hearing, analysis.novelty
            if id not in self._rows and id not in self.recorded:
                instrument.x, instrument.y = self._position(analysis.likeness)
        return instrument

    def _position(self, likeness: np.ndarray) -> tuple[float | None, float | None]:
        if self.sound_map is None:
            return None, None
        return self.sound_map.position_of_likeness(likeness) or (None, None)

    async def analyse_recording(self, data: bytes, name: str) -> AnalysedRecording:
        """Hear a recording, place it on the map, and imagine an instrument like it.

        Args:
            data: contents of a sound file.
            name: of the file.

        Raises:
            SoundError: it is not a sound file that can be read.
        """
        key = ("recording", secrets.token_hex(8))
        analysis: hearing.RecordingAnalysis = await self.pool.run(
            key, hearing.hear_recording, data, name, priority=BACKGROUND, retry=False
        )
        x, y, nearest = None, None, []
        if analysis.likeness is not None:
            x, y = self._position(analysis.likeness)
            nearest = self._nearest(analysis.likeness)
        instrument = None
        if analysis.patch is not None:
            instrument = self._open_patch(analysis.patch)
            instrument.x, instrument.y = x, y
        return AnalysedRecording(analysis.hearing, x, y, nearest, instrument, analysis.problem)

    def _nearest(self, likeness: np.ndarray) -> list[schemas.SimilarInstrument]:
        sound_map = self.sound_map
        if sound_map is None:
            return []
        return [
            schemas.SimilarInstrument(
                id=sound_map.ids[row], name=sound_map.name(row), likeness=likeness_to_row
            )
            for row, likeness_to_row in sound_map.nearest_rows(likeness, SIMILAR_COUNT)
        ]

    def add_favourite(self, id: str, name: str | None) -> OpenFavourite:
        """Add an open instrument to the favourites.

        Args:
            id: of the instrument.
            name: of the favourite; None for the instrument's.
        """
        patch = self._patch(id)
        values = patch.to_json(self.weights.sha256)
        row = self.favourites.add(name or patch.name, values, patch.residual)
        return OpenFavourite(row, self.instrument(id), None)

    def open_favourite(self, row: Favourite) -> OpenFavourite:
        """A favourite with its instrument, which is opened if the weights are the same."""
        weights = str(row.patch["weights"]["sha256"])
        if weights != self.weights.sha256:
            problem = (
                f"it was imagined with other weights ({weights[:12]}): start explore with "
                "--model and their folder to open it"
            )
            return OpenFavourite(row, None, problem)
        patch = Patch.from_json(row.patch, weights, row.residual)
        return OpenFavourite(row, self._open_patch(patch), None)


def _patch_bytes(patch: Patch) -> int:
    """Bytes of a patch in the cache, about."""
    return 2048 + len(patch.residual or b"")
