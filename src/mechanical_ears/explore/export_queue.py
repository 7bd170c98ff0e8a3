"""Exports: one after another in a process of their own, at a lower priority than notes.

Files lie in a temporary folder that goes with the server; their number, size and age are bounded.
A job that nobody asks about for a while (a closed tab) is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import tempfile
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import instrument_files, worker_tasks
from mechanical_ears.explore.open_instruments import Playing
from mechanical_ears.explore.worker import Worker

MOST: Final = 8  # jobs that wait or run
KEPT: Final = 16  # jobs that are done
KEPT_BYTES: Final = 1 << 30  # of their files
KEPT_SECONDS: Final = 3600.0
ABANDONED: Final = 150.0  # s without a question; browsers ask once a minute from a hidden tab
NICE: Final = 10  # of 19, how much an export gives way
LOOK: Final = 5.0  # s between two looks at what is old

State = Literal["waiting", "running", "done", "failed", "cancelled"]
log = logging.getLogger("mechanical_ears.explore")


class ManyExportsError(EarsError):
    """More exports wait than can."""


class UnknownJobError(EarsError):
    """There is no such export."""


@dataclass(eq=False)
class Job:
    """An export.

    Attributes:
        job: its id.
        playing: the instrument.
        wish: format and plan; see `instrument_files.exported`.
        state: how far it is.
        progress: 0..1.
        problem: why it failed.
        file: what was made.
        size: bytes of it.
    """

    job: str
    playing: Playing
    wish: dict[str, Any]
    state: State = "waiting"
    progress: float = 0.0
    problem: str | None = None
    file: Path | None = None
    size: int | None = None
    asked: float = field(default_factory=time.monotonic)


class Exports:
    """The exports of a server.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: the user's; None for none.
    """

    def __init__(self, model: Path | None, corpus: Path | None) -> None:
        self._prepared = (None if model is None else str(model), corpus and str(corpus), NICE)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._folder = Path(tempfile.mkdtemp(prefix="ears-explore-"))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        self._worker: Worker | None = None
        self._change = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._running: Job | None = None
        self._ended = False

    def start(self) -> None:
        """Begin to work."""
        self._loops = [asyncio.create_task(self._work()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """Cancel all and remove what was made."""
        self._ended = True
        for loop in self._loops:
            loop.cancel()
        self._end_worker()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, playing: Playing, wish: dict[str, Any]) -> Job:
        """Ask for an export.

        Raises:
            ManyExportsError: too many wait.
        """
        if sum(job.state in ("waiting", "running") for job in self._jobs.values()) >= MOST:
            raise ManyExportsError("too many exports wait", remedy="wait until one is done")
        job = Job(f"e{secrets.token_hex(8)}", playing, wish)
        self._jobs[job.job] = job
        self._change.set()
        return job

    def job(self, name: str) -> Job:
        """A job, which lives on by being asked for.

        Raises:
            UnknownJobError: there is none, or it was removed.
        """
        if name not in self._jobs:
            raise UnknownJobError("there is no such export", remedy="export it again")
        self._jobs[name].asked = time.monotonic()
        return self._jobs[name]

    def cancel(self, name: str) -> Job:
        """Cancel a job, or remove what it made.

        Raises:
            UnknownJobError: there is none.
        """
        job = self.job(name)
        self._cancel(job)
        return job

    def _cancel(self, job: Job) -> None:
        job.state = "cancelled"
        if job is self._running:
            self._end_worker()  # its thread meets the broken pipe
        self._discard(job)

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.end()

    def _discard(self, job: Job) -> None:
        shutil.rmtree(self._folder / job.job, ignore_errors=True)
        job.file = None

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            job = next((job for job in self._jobs.values() if job.state == "waiting"), None)
            if job is None:
                self._change.clear()
                await self._change.wait()
                continue
            job.state, self._running = "running", job
            try:
                made = await loop.run_in_executor(self._thread, self._export, job)
            except EarsError as error:
                if job.state == "running":
                    job.state, job.problem = "failed", str(error)
            except OSError as error:
                job.state, job.problem = "failed", f"cannot write: {error.strerror}"
            else:
                if job.state == "running":
                    job.file, job.size = made, made.stat().st_size
                    job.state, job.progress = "done", 1.0
            finally:
                self._running = None
                if job.state != "done":
                    self._discard(job)
            self._forget()

    def _export(self, job: Job) -> Path:
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(worker_tasks.prepare, *self._prepared)
            self._worker.ready()
        if self._ended or job.state != "running":
            raise EarsError("it was cancelled")

        def tell(done: float) -> None:
            job.progress = done

        folder = self._folder / job.job
        folder.mkdir()
        made = self._worker.do(
            instrument_files.exported, job.playing, str(folder), job.wish, tell=tell
        )
        return Path(made)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            for job in list(self._jobs.values()):
                if job.state in ("waiting", "running") and now - job.asked > ABANDONED:
                    log.info("export %s is cancelled: nobody asks for it", job.job)
                    self._cancel(job)
            self._forget()

    def _forget(self) -> None:
        """Remove what is old, and the oldest of what is too much."""
        now = time.monotonic()
        ended = [job for job in self._jobs.values() if job.state not in ("waiting", "running")]
        size = sum(job.size or 0 for job in ended if job.file is not None)
        for place, job in enumerate(ended):
            many = len(ended) - place > KEPT or (size > KEPT_BYTES and place < len(ended) - 1)
            if many or now - job.asked > KEPT_SECONDS:
                size -= job.size or 0
                self._discard(job)
                del self._jobs[job.job]
