"""The map of a running server: the one that ships, or one that is made while the page is open.

For the user's own weights it is made once and kept in the data folder, a first look after some two
hundred instruments. A corpus is heard once, too; its instruments are placed among the imagined.
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
from mechanical_ears.explore.build_map import POINTS, Charting
from mechanical_ears.explore.corpus_instruments import Recorded
from mechanical_ears.explore.open_instruments import Opened
from mechanical_ears.explore.service import Studio
from mechanical_ears.explore.sound_map import SHIPPED, SpaceMap
from mechanical_ears.explore.worker_pool import SLOW
from mechanical_ears.files import make_folder, write_atomically
from mechanical_ears.workers import worker_count

MOST_REAL: Final = 6000  # instruments of a corpus on the map
NICE: Final = 5  # of 19, how much the making of a map gives way
SHOWN: Final = 25  # instruments heard between two looks

log = logging.getLogger("mechanical_ears.explore")


class Mapping:
    """What brings the map to a studio.

    Args:
        studio: that is to have it.
        data: the user's folder.
        points: imagined instruments at most; None for all.
    """

    def __init__(self, studio: Studio, data: Path, points: int | None) -> None:
        self._studio = studio
        self._folder = data / "maps"
        self._points = points
        self._charting: Charting | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take the map that is there at once, and begin to make what is not."""
        weights = self._studio.weights.sha256
        for path in (SHIPPED, self._path):
            with suppress(EarsError):
                space = SpaceMap.load(path)
                if space.weights == weights:
                    self._studio.look(space if self._points is None else space.first(self._points))
                    break
        if self._studio.space is None or self._studio.rendering.corpus is not None:
            self._studio.mapping = {"done": 0, "of": self._points or POINTS}
            self._task = asyncio.create_task(self._make())

    async def stop(self) -> None:
        """Stop making it; what was heard is kept for the next time."""
        if self._charting is not None:
            self._charting.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._studio.weights.sha256[:12]}-{self._points or POINTS}.npz"

    async def _make(self) -> None:
        try:
            if self._studio.space is None:
                await self._chart()
            if self._studio.rendering.corpus is not None:
                await self._hear_corpus()
        except EarsError as error:
            log.warning("the map is not whole: %s", error)
        finally:
            self._studio.mapping = None

    async def _chart(self) -> None:
        loop = asyncio.get_running_loop()
        make_folder(self._folder)
        workers = max(1, worker_count() - 1)
        part = self._path.with_suffix(".part.npz")
        model = self._studio.rendering.model
        charting = Charting(model, self._points or POINTS, workers, part, gives_way=NICE)
        self._charting = charting

        def progress(done: int, of: int) -> None:
            self._studio.mapping = {"done": done, "of": of}

        def look(space: SpaceMap) -> None:
            loop.call_soon_threadsafe(self._studio.look, space)

        space = await asyncio.to_thread(charting.run, progress, look)
        space.save(self._path)
        part.unlink(missing_ok=True)
        self._studio.look(space)

    async def _hear_corpus(self) -> None:
        studio = self._studio
        found: list[Recorded] = await studio.rendering.do(
            "corpus", worker_tasks.corpus_instruments, kind=SLOW
        )
        found = found[:MOST_REAL]
        studio.corpus = found[0].corpus if found else None
        path = self._folder / f"real-{_digest(found)}.npz"
        heard = _read(path)
        for number, recorded in enumerate(found, start=1):
            name = recorded.id("")
            if name not in heard:
                try:
                    heard[name] = await studio.rendering.do(
                        ("real", name), hearing.likenesses, recorded, kind=SLOW
                    )
                except EarsError as error:
                    log.warning("%s is left out: %s", recorded.name, error)
                    continue
            studio.mapping = {"done": number, "of": len(found)}
            self._add(recorded, heard[name])
            if number % SHOWN == 0:
                studio.changed()
        studio.changed()
        make_folder(self._folder)
        _write(path, heard)

    def _add(self, recorded: Recorded, likenesses: np.ndarray) -> None:
        studio, space = self._studio, self._studio.space
        if space is None:
            return
        x, y = space.among_likenesses(likenesses) or (0.0, 0.0)
        name = recorded.id("")
        novelty = 1 - float(likenesses.max())
        studio.real[name] = Opened(name, recorded, {"id": name}, x, y, novelty)
        studio.real_nearest[name] = space.axes.known[int(likenesses.argmax())]


def _digest(found: Sequence[Recorded]) -> str:
    told = "\n".join(each.id("") for each in found)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _read(path: Path) -> dict[str, np.ndarray]:
    with suppress(OSError, ValueError, KeyError), np.load(path) as file:
        names = file["names"].tobytes().decode().split("\n")
        return dict(zip(names, file["likenesses"].astype(np.float32), strict=True))
    return {}


def _write(path: Path, heard: dict[str, np.ndarray]) -> None:
    if not heard:
        return
    names = np.frombuffer("\n".join(heard).encode(), np.uint8)
    with write_atomically(path) as temporary:
        np.savez(temporary, names=names, likenesses=np.stack(list(heard.values())))
