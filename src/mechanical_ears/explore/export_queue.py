"""The queue of exports: they run one after another in a process of low priority.

Files are written to a temporary folder that is removed with the server; their number, size and age
are limited. An export that no page asks about for a while (a closed tab) is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import instrument_files, worker_tasks
from mechanical_ears.explore.open_instruments import InstrumentData, UnknownIdError
from mechanical_ears.explore.worker import Worker

MAX_PENDING: Final = 8  # exports that wait or run
MAX_FINISHED: Final = 16  # exports that have ended
MAX_FINISHED_BYTES: Final = 1 << 30  # bytes of their files
MAX_FINISHED_SECONDS: Final = 3600.0  # s since the last request
ABANDONED_SECONDS: Final = 150.0  # s; browsers run timers once a minute in a hidden tab
NICENESS: Final = 10  # 0..19
CLEANUP_SECONDS: Final = 5.0  # s between two clean-ups

State = Literal["waiting", "running", "done", "failed", "cancelled"]
PENDING: Final = ("waiting", "running")
log = logging.getLogger("mechanical_ears.explore")


class TooManyExportsError(EarsError):
    """The queue is full."""


@dataclass(eq=False)
class Export:
    """An export.

    Attributes:
        id: of the export.
        data: the instrument.
        options: format and sampling plan; see `instrument_files.export_instrument`.
        state: of the export.
        progress: 0..1.
        problem: why it failed.
        file: the result.
        size: bytes of the file.
        last_request: s, monotonic time.
    """

    id: str
    data: InstrumentData
    options: dict[str, Any]
    state: State = "waiting"
    progress: float = 0.0
    problem: str | None = None
    file: Path | None = None
    size: int | None = None
    last_request: float = field(default_factory=time.monotonic)


class ExportQueue:
    """The exports of a server.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: path of the user's corpus; None for none.
    """

    def __init__(self, model: Path | None, corpus: Path | None) -> None:
        self._prepare_arguments = (model, corpus, NICENESS)
        self._exports: dict[str, Export] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="ears-explore-"))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        self._worker: Worker | None = None
        self._added = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._running: Export | None = None
        self._stopped = False

    def start(self) -> None:
        """Start to run exports."""
        self._loops = [asyncio.create_task(self._work()), asyncio.create_task(self._clean_up())]

    async def stop(self) -> None:
        """Cancel all exports and remove their files."""
        self._stopped = True
        for loop in self._loops:
            loop.cancel()
        self._kill_worker()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, data: InstrumentData, options: dict[str, Any]) -> Export:
        """Add an export.

        Raises:
            TooManyExportsError: the queue is full.
        """
        if sum(export.state in PENDING for export in self._exports.values()) >= MAX_PENDING:
            raise TooManyExportsError("too many exports wait", remedy="wait until one is done")
        export = Export(f"e{secrets.token_hex(8)}", data, options)
        self._exports[export.id] = export
        self._added.set()
        return export

    def get(self, id: str) -> Export:
        """The export with an id; the request keeps it from being cancelled.

        Raises:
            UnknownIdError: there is none, or it was removed.
        """
        if id not in self._exports:
            raise UnknownIdError("there is no such export", remedy="export it again")
        self._exports[id].last_request = time.monotonic()
        return self._exports[id]

    def cancel(self, id: str) -> Export:
        """Cancel an export, or remove its file.

        Raises:
            UnknownIdError: there is none.
        """
        export = self.get(id)
        self._cancel(export)
        return export

    def _cancel(self, export: Export) -> None:
        export.state = "cancelled"
        if export is self._running:
            self._kill_worker()  # its thread then finds the pipe broken
        self._remove_file(export)

    def _kill_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()

    def _remove_file(self, export: Export) -> None:
        shutil.rmtree(self._folder / export.id, ignore_errors=True)
        export.file = None

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            waiting = (each for each in self._exports.values() if each.state == "waiting")
            export = next(waiting, None)
            if export is None:
                self._added.clear()
                await self._added.wait()
                continue
            export.state, self._running = "running", export
            try:
                file = await loop.run_in_executor(self._thread, self._run, export)
            except EarsError as error:
                if export.state == "running":
                    export.state, export.problem = "failed", str(error)
            except OSError as error:
                export.state, export.problem = "failed", f"cannot write: {error.strerror}"
            else:
                if export.state == "running":
                    export.file, export.size = file, file.stat().st_size
                    export.state, export.progress = "done", 1.0
            finally:
                self._running = None
                if export.state != "done":
                    self._remove_file(export)
            self._remove_old()

    def _run(self, export: Export) -> Path:
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(worker_tasks.prepare, *self._prepare_arguments)
            self._worker.wait_until_ready()
        if self._stopped or export.state != "running":
            raise EarsError("it was cancelled")

        def on_progress(done: float) -> None:
            export.progress = done

        folder = self._folder / export.id
        folder.mkdir()
        task = instrument_files.export_instrument
        arguments = (export.data, str(folder), export.options)
        return Path(self._worker.run(task, *arguments, on_progress=on_progress))

    async def _clean_up(self) -> None:
        while True:
            await asyncio.sleep(CLEANUP_SECONDS)
            now = time.monotonic()
            for export in list(self._exports.values()):
                if export.state in PENDING and now - export.last_request > ABANDONED_SECONDS:
                    log.info("export %s is cancelled: no page has asked about it", export.id)
                    self._cancel(export)
            self._remove_old()

    def _remove_old(self) -> None:
        """Remove old exports, and the oldest ones beyond the limits."""
        now = time.monotonic()
        finished = [each for each in self._exports.values() if each.state not in PENDING]
        size = sum(export.size or 0 for export in finished if export.file is not None)
        for index, export in enumerate(finished):
            remaining = len(finished) - index
            beyond = remaining > MAX_FINISHED or (size > MAX_FINISHED_BYTES and remaining > 1)
            if beyond or now - export.last_request > MAX_FINISHED_SECONDS:
                size -= export.size or 0
                self._remove_file(export)
                del self._exports[export.id]
