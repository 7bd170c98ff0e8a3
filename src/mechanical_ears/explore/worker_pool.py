"""Who works on what: a queue of jobs before a few worker processes, and a cache of their answers.

Notes and what a hand waits for come first (``QUICK``); what takes long (hearing, recordings) takes
all workers but one at most, so that notes never wait for it. Two who ask for the same share one
job. A job that nobody waits for any more is dropped, unless it runs already. A worker that dies is
replaced; its job is tried once more, if that is harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import worker_tasks
from mechanical_ears.explore.worker import Worker, WorkerError
from mechanical_ears.workers import worker_count

QUICK: Final = 0  # a hand waits
SLOW: Final = 1  # a person waits
CACHED: Final = 192 << 20  # bytes of answers that are kept
WAITING: Final = 512  # jobs that may wait
LIMIT: Final = 30.0  # s, of a quick job
SLOW_LIMIT: Final = 120.0  # s
MOST_WORKERS: Final = 8
STARTS: Final = 3  # of a worker that dies as it starts

log = logging.getLogger("mechanical_ears.explore")


class BusyError(EarsError):
    """There is more to do than can wait."""


@dataclass(eq=False)
class Job:
    """A task with those who wait for it."""

    key: object
    kind: int
    task: Callable[..., Any]
    arguments: tuple[Any, ...]
    again: bool  # whether it may be tried again after a crash
    size: Callable[[Any], int] | None  # of the answer, if it is to be kept
    answer: asyncio.Future[Any]
    waiting: int = 0
    runs: bool = False


@dataclass
class Counts:
    """What was done, for benchmarks and tests."""

    done: int = 0
    cached: int = 0
    shared: int = 0
    dropped: int = 0
    crashed: int = 0


@dataclass(eq=False)
class Rendering:
    """The workers of a server.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: the user's; None for none.
        workers: processes; None for one a core, at most 8.
        cached: bytes of answers that are kept.
        most: jobs that may wait.
    """

    model: Path | None = None
    corpus: Path | None = None
    workers: int | None = None
    cached: int = CACHED
    most: int = WAITING
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.count = self.workers or min(worker_count(), MOST_WORKERS)
        self._queues: tuple[deque[Job], deque[Job]] = (deque(), deque())
        self._jobs: dict[object, Job] = {}
        self._cache: OrderedDict[object, tuple[Any, int]] = OrderedDict()
        self._held = 0  # bytes
        self._slow = 0  # slow jobs that run
        self._change = asyncio.Condition()
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="worker")
        self._at_work: dict[int, Worker] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._ended = False

    async def start(self) -> worker_tasks.Weights:
        """Start the workers and wait for the first.

        Raises:
            EarsError: the weights are missing or damaged.
        """
        loop = asyncio.get_running_loop()
        for place in range(self.count):
            self._at_work[place] = self._worker()
        try:
            weights: worker_tasks.Weights = await loop.run_in_executor(
                self._threads, self._at_work[0].ready
            )
        except EarsError:
            await self.stop()
            raise
        self._loops = [asyncio.create_task(self._work(place)) for place in range(self.count)]
        return weights

    async def stop(self) -> None:
        """End all workers; who waits is told so."""
        self._ended = True
        for loop in self._loops:
            loop.cancel()
        for worker in self._at_work.values():
            worker.end()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for job in list(self._jobs.values()):
            _fail(job, EarsError("the server is stopping"))
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def pids(self) -> list[int]:
        """Of the worker processes."""
        return [worker.pid for worker in self._at_work.values()]

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return sum(map(len, self._queues))

    async def do(
        self,
        key: object,
        task: Callable[..., Any],
        *arguments: Any,
        kind: int = QUICK,
        again: bool = True,
        size: Callable[[Any], int] | None = None,
    ) -> Any:
        """The answer of a task: from the cache, from a job under way, or from a new one.

        Whoever is cancelled waits no longer; the last to do so takes the job back.

        Args:
            key: the same key is the same job.
            task: one of `tasks`.
            arguments: of the task.
            kind: ``QUICK`` or ``SLOW``.
            again: whether it may be tried again where a worker dies.
            size: bytes of an answer that is to be kept.

        Raises:
            BusyError: too many jobs wait.
            EarsError: the task's.
        """
        if key in self._cache:
            self._cache.move_to_end(key)
            self.counts.cached += 1
            return self._cache[key][0]
        job = self._jobs.get(key)
        if job is not None:
            self.counts.shared += 1
        else:
            if self.waiting >= self.most:
                raise BusyError("too much is asked for at once", remedy="try again in a second")
            answer = asyncio.get_running_loop().create_future()
            job = Job(key, kind, task, arguments, again, size, answer)
            self._jobs[key] = job
            self._queues[kind].append(job)
        job.waiting += 1
        try:
            async with self._change:
                self._change.notify()
            return await asyncio.shield(job.answer)
        finally:
            job.waiting -= 1
            if not job.waiting and not job.runs and not job.answer.done():
                self._drop(job)

    def _drop(self, job: Job) -> None:
        self.counts.dropped += 1
        self._jobs.pop(job.key, None)
        self._queues[job.kind].remove(job)
        job.answer.cancel()

    def _next(self) -> Job | None:
        quick, slow = self._queues
        if quick:
            return quick.popleft()
        if slow and self._slow < max(1, self.count - 1):
            return slow.popleft()
        return None

    async def _work(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        if place:
            try:
                await loop.run_in_executor(self._threads, self._at_work[place].ready)
            except EarsError:
                await self._replace(place)
        while True:
            async with self._change:
                while (job := self._next()) is None:
                    await self._change.wait()
            job.runs = True
            self._slow += job.kind
            try:
                await self._run(place, job)
            finally:
                self._slow -= job.kind
                self._jobs.pop(job.key, None)
                _fail(job, EarsError("the server is stopping"))  # unless it was answered
            if job.kind == SLOW:
                async with self._change:
                    self._change.notify_all()

    async def _run(self, place: int, job: Job) -> None:
        loop = asyncio.get_running_loop()
        limit = SLOW_LIMIT if job.kind == SLOW else LIMIT
        for attempt in (1, 2):
            worker = self._at_work[place]
            try:
                do = partial(worker.do, job.task, *job.arguments, limit=limit)
                answer = await loop.run_in_executor(self._threads, do)
            except WorkerError as error:
                self.counts.crashed += 1
                log.warning("worker %d: %s", worker.pid, error)
                if self._ended:
                    return
                await self._replace(place)
                if attempt == 2 or not job.again:
                    _fail(job, error)
                    return
            except EarsError as error:
                _fail(job, error)
                return
            else:
                self.counts.done += 1
                if job.size is not None:
                    self._keep(job.key, answer, job.size(answer))
                if not job.answer.done():
                    job.answer.set_result(answer)
                return

    async def _replace(self, place: int) -> None:
        """A new worker; where none can be started, the next job tries again."""
        loop = asyncio.get_running_loop()
        for attempt in range(STARTS):
            if self._ended:
                return
            await asyncio.sleep(attempt)
            self._at_work[place].end()
            self._at_work[place] = self._worker()
            try:
                await loop.run_in_executor(self._threads, self._at_work[place].ready)
            except EarsError as error:
                log.error("a worker cannot be started: %s", error)
            else:
                return

    def _worker(self) -> Worker:
        return Worker(
            worker_tasks.prepare, self.model and str(self.model), self.corpus and str(self.corpus)
        )

    def _keep(self, key: object, answer: Any, size: int) -> None:
        if size > self.cached:
            return
        self._cache[key] = (answer, size)
        self._held += size
        while self._held > self.cached:
            _, (_, freed) = self._cache.popitem(last=False)
            self._held -= freed


def _fail(job: Job, error: EarsError) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)
        job.answer.exception()  # nobody may wait any more, which is no reason to complain
