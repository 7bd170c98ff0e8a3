"""Loads the map of a running server, or builds it while the page is open.

The map of the shipped weights is loaded at once. For the user's own weights it is built once and
cached in the data folder; a first map follows after some two hundred instruments. The instruments
of the user's corpus are heard once, too, and placed among the imagined ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import hearing, worker_tasks
from mechanical_ears.explore.build_map import POINTS, MapBuilder
from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.explore.open_instruments import OpenInstrument
from mechanical_ears.explore.service import ExploreService
from mechanical_ears.explore.sound_map import SHIPPED_MAP, SoundMap
from mechanical_ears.explore.worker_pool import BACKGROUND
from mechanical_ears.files import make_folder, write_atomically
from mechanical_ears.workers import worker_count

MAX_RECORDED: Final = 6000  # instruments of a corpus on the map
NICENESS: Final = 5  # 0..19, of the processes that build a map
UPDATE_INTERVAL: Final = 25  # instruments of a corpus between two updates of the map

log = logging.getLogger("mechanical_ears.explore")


class MapLoader:
    """Loads or builds the map of a service.

    Args:
        service: that gets the map.
        data: the user's data folder.
        points: largest number of imagined instruments; None for all.
    """

    def __init__(self, service: ExploreService, data: Path, points: int | None) -> None:
        self._service = service
        self._folder = data / "maps"
        self._points = points
        self._builder: MapBuilder | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Load the shipped or cached map, and start to build what is missing."""
        service = self._service
        for path in (SHIPPED_MAP, self._path):
            with suppress(EarsError):
                sound_map = SoundMap.load(path)
                if sound_map.weights == service.weights.sha256:
                    first = sound_map if self._points is None else sound_map.first(self._points)
                    service.set_map(first)
                    break
        if service.sound_map is None or service.pool.corpus is not None:
            service.map_progress = {"done": 0, "of": self._points or POINTS}
            self._task = asyncio.create_task(self._build())

    async def stop(self) -> None:
        """Stop building; what the ears have heard is stored for the next time."""
        if self._builder is not None:
            self._builder.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _path(self) -> Path:
        weights = self._service.weights.sha256[:12]
        return self._folder / f"{weights}-{self._points or POINTS}.npz"

    async def _build(self) -> None:
        try:
            if self._service.sound_map is None:
                await self._build_map()
            if self._service.pool.corpus is not None:
                await self._add_corpus()
        except EarsError as error:
            log.warning("the map is incomplete: %s", error)
        finally:
            self._service.map_progress = None

    async def _build_map(self) -> None:
        loop = asyncio.get_running_loop()
        service, path = self._service, self._path
        make_folder(self._folder)
        workers = max(1, worker_count() - 1)
        partial_file = path.with_suffix(".part.npz")
        builder = MapBuilder(
            service.pool.model, self._points or POINTS, workers, partial_file, niceness=NICENESS
        )
        self._builder = builder

        def on_progress(done: int, total: int) -> None:
            service.map_progress = {"done": done, "of": total}

        def on_first_map(first_map: SoundMap) -> None:
            loop.call_soon_threadsafe(service.set_map, first_map)

        sound_map = await asyncio.to_thread(builder.run, on_progress, on_first_map)
        sound_map.save(path)
        partial_file.unlink(missing_ok=True)
        service.set_map(sound_map)

    async def _add_corpus(self) -> None:
        service = self._service
        instruments: list[CorpusInstrument] = await service.pool.run(
            "corpus", worker_tasks.list_corpus_instruments, priority=BACKGROUND
        )
        instruments = instruments[:MAX_RECORDED]
        service.corpus_title = instruments[0].corpus if instruments else None
        path = self._folder / f"real-{_digest(instruments)}.npz"
        likenesses = _load_likenesses(path)
        for number, instrument in enumerate(instruments, start=1):
            id = instrument.id("")
            if id not in likenesses:
                try:
                    likenesses[id] = await service.pool.run(
                        ("likeness", id), hearing.mean_likeness, instrument, priority=BACKGROUND
                    )
                except EarsError as error:
                    log.warning("%s is left out: %s", instrument.name, error)
                    continue
            service.map_progress = {"done": number, "of": len(instruments)}
            self._add(instrument, likenesses[id])
            if number % UPDATE_INTERVAL == 0:
                service.map_changed()
        service.map_changed()
        make_folder(self._folder)
        _save_likenesses(path, likenesses)

    def _add(self, instrument: CorpusInstrument, likeness: np.ndarray) -> None:
        service, sound_map = self._service, self._service.sound_map
        if sound_map is None:
            return
        x, y = sound_map.position_of_likeness(likeness) or (0.0, 0.0)
        id, novelty = instrument.id(""), 1 - float(likeness.max())
        service.recorded[id] = OpenInstrument(id, instrument, {"id": id}, x, y, novelty)
        service.recorded_nearest[id] = sound_map.axes.known[int(likeness.argmax())]


def _digest(instruments: Sequence[CorpusInstrument]) -> str:
    text = "\n".join(instrument.id("") for instrument in instruments)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _load_likenesses(path: Path) -> dict[str, np.ndarray]:
    """Likenesses of a corpus' instruments by id; empty without a cache."""
    with suppress(OSError, ValueError, KeyError), np.load(path) as file:
        ids = file["names"].tobytes().decode().split("\n")
        return dict(zip(ids, file["likenesses"].astype(np.float32), strict=True))
    return {}


def _save_likenesses(path: Path, likenesses: dict[str, np.ndarray]) -> None:
    if not likenesses:
        return
    ids = np.frombuffer("\n".join(likenesses).encode(), np.uint8)
    with write_atomically(path) as temporary:
        np.savez(temporary, names=ids, likenesses=np.stack(list(likenesses.values())))
