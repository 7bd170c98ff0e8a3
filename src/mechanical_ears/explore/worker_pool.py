"""A pool of worker processes: a queue of jobs and a cache of their results.

Jobs that somebody waits for while playing (``INTERACTIVE``) come first. Jobs that take long
(``BACKGROUND``: hearing, recordings) run in all workers but one at most, so that notes never wait
for them. Equal jobs are shared. A job that nobody waits for any more is dropped, unless it is
already running. A worker that crashes is replaced, and its job is tried once more if that is
harmless.
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
from mechanical_ears.explore.worker import Task, Worker, WorkerError
from mechanical_ears.workers import worker_count

INTERACTIVE: Final = 0
BACKGROUND: Final = 1
CACHE_BYTES: Final = 192 << 20  # bytes of results
MAX_WAITING: Final = 512  # jobs in the queue
MAX_SECONDS: Final = (30.0, 120.0)  # s, of an interactive and of a background job
MAX_WORKERS: Final = 8
MAX_STARTS: Final = 3  # of a worker that crashes while it starts

log = logging.getLogger("mechanical_ears.explore")


class BusyError(EarsError):
    """The queue is full."""


@dataclass(eq=False)
class Job:
    """A task in the queue or in a worker."""

    key: object
    priority: int
    task: Task
    arguments: tuple[Any, ...]
    retry: bool  # whether it may run again after a crash
    size: Callable[[Any], int] | None  # bytes of the result; None if it is not cached
    result: asyncio.Future[Any]
    waiters: int = 0
    running: bool = False


@dataclass
class Counts:
    """Numbers of jobs by what happened to them, for benchmarks and tests."""

    done: int = 0
    cached: int = 0
    shared: int = 0
    dropped: int = 0
    crashed: int = 0


@dataclass(eq=False)
class WorkerPool:
    """The workers of a server.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: path of the user's corpus; None for none.
        workers: processes; None for one per core, at most 8.
        cache_bytes: size of the cache of results.
        max_waiting: jobs in the queue.
    """

    model: Path | None = None
    corpus: Path | None = None
    workers: int | None = None
    cache_bytes: int = CACHE_BYTES
    max_waiting: int = MAX_WAITING
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.count = self.workers or min(worker_count(), MAX_WORKERS)
        self._queues: tuple[deque[Job], deque[Job]] = (deque(), deque())
        self._jobs: dict[object, Job] = {}
        self._cache: OrderedDict[object, tuple[Any, int]] = OrderedDict()
        self._cached_bytes = 0
        self._background_running = 0
        self._changed = asyncio.Condition()
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="worker")
        self._workers: dict[int, Worker] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._stopped = False

    async def start(self) -> worker_tasks.WeightsInfo:
        """Start the workers and wait for the first one.

        Raises:
            EarsError: the weights are missing or damaged.
        """
        loop = asyncio.get_running_loop()
        for number in range(self.count):
            self._workers[number] = self._start_worker()
        try:
            weights: worker_tasks.WeightsInfo = await loop.run_in_executor(
                self._threads, self._workers[0].wait_until_ready
            )
        except EarsError:
            await self.stop()
            raise
        self._loops = [asyncio.create_task(self._work(number)) for number in range(self.count)]
        return weights

    async def stop(self) -> None:
        """Kill all workers; jobs that somebody waits for fail."""
        self._stopped = True
        for loop in self._loops:
            loop.cancel()
        for worker in self._workers.values():
            worker.kill()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for job in list(self._jobs.values()):
            _fail(job, EarsError("the server is stopping"))
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._workers.values()]

    @property
    def waiting(self) -> int:
        """Number of jobs in the queue."""
        return sum(map(len, self._queues))

    async def run(
        self,
        key: object,
        task: Task,
        *arguments: Any,
        priority: int = INTERACTIVE,
        retry: bool = True,
        size: Callable[[Any], int] | None = None,
    ) -> Any:
        """Return the result of a task: from the cache, of a job in progress, or of a new one.

        A caller that is cancelled no longer waits; when the last one is, the job is dropped.

        Args:
            key: identifies the job; jobs with the same key are shared.
            task: a function that can be pickled, such as those of `worker_tasks`.
            arguments: of the task.
            priority: ``INTERACTIVE`` or ``BACKGROUND``.
            retry: whether it may run again after a crash.
            size: returns the bytes of a result that is cached; None if it is not.

        Raises:
            BusyError: the queue is full.
            EarsError: what the task raised.
        """
        if key in self._cache:
            self._cache.move_to_end(key)
            self.counts.cached += 1
            return self._cache[key][0]
        job = self._jobs.get(key)
        if job is not None:
            self.counts.shared += 1
        else:
            if self.waiting >= self.max_waiting:
                raise BusyError("the server is busy", remedy="try again in a second")
            result = asyncio.get_running_loop().create_future()
            job = Job(key, priority, task, arguments, retry, size, result)
            self._jobs[key] = job
            self._queues[priority].append(job)
        job.waiters += 1
        try:
            async with self._changed:
                self._changed.notify()
            return await asyncio.shield(job.result)
        finally:
            job.waiters -= 1
            if not job.waiters and not job.running and not job.result.done():
                self._drop(job)

    def _drop(self, job: Job) -> None:
        self.counts.dropped += 1
        self._jobs.pop(job.key, None)
        self._queues[job.priority].remove(job)
        job.result.cancel()

    def _next_job(self) -> Job | None:
        interactive, background = self._queues
        if interactive:
            return interactive.popleft()
        if background and self._background_running < max(1, self.count - 1):
            return background.popleft()
        return None

    async def _work(self, number: int) -> None:
        """Run jobs in one of the workers."""
        loop = asyncio.get_running_loop()
        if number:
            try:
                await loop.run_in_executor(self._threads, self._workers[number].wait_until_ready)
            except EarsError:
                await self._replace_worker(number)
        while True:
            async with self._changed:
                while (job := self._next_job()) is None:
                    await self._changed.wait()
            job.running = True
            self._background_running += job.priority
            try:
                await self._run_job(number, job)
            finally:
                self._background_running -= job.priority
                self._jobs.pop(job.key, None)
                _fail(job, EarsError("the server is stopping"))  # unless it has a result
            if job.priority == BACKGROUND:
                async with self._changed:
                    self._changed.notify_all()

    async def _run_job(self, number: int, job: Job) -> None:
        loop = asyncio.get_running_loop()
        max_seconds = MAX_SECONDS[job.priority]
        for attempt in (1, 2):
            worker = self._workers[number]
            try:
                run = partial(worker.run, job.task, *job.arguments, max_seconds=max_seconds)
                result = await loop.run_in_executor(self._threads, run)
            except WorkerError as error:
                self.counts.crashed += 1
                log.warning("worker %d: %s", worker.pid, error)
                if self._stopped:
                    return
                await self._replace_worker(number)
                if attempt == 2 or not job.retry:
                    _fail(job, error)
                    return
            except EarsError as error:
                _fail(job, error)
                return
            else:
                self.counts.done += 1
                if job.size is not None:
                    self._store(job.key, result, job.size(result))
                if not job.result.done():
                    job.result.set_result(result)
                return

    async def _replace_worker(self, number: int) -> None:
        """Start a new worker; if none can be started, the next job tries again."""
        loop = asyncio.get_running_loop()
        for attempt in range(MAX_STARTS):
            if self._stopped:
                return
            await asyncio.sleep(attempt)
            self._workers[number].kill()
            self._workers[number] = self._start_worker()
            try:
                await loop.run_in_executor(self._threads, self._workers[number].wait_until_ready)
            except EarsError as error:
                log.error("a worker cannot be started: %s", error)
            else:
                return

    def _start_worker(self) -> Worker:
        return Worker(worker_tasks.prepare, self.model, self.corpus)

    def _store(self, key: object, result: Any, size: int) -> None:
        if size > self.cache_bytes:
            return
        self._cache[key] = (result, size)
        self._cached_bytes += size
        while self._cached_bytes > self.cache_bytes:
            _, (_, freed) = self._cache.popitem(last=False)
            self._cached_bytes -= freed


def _fail(job: Job, error: EarsError) -> None:
    if not job.result.done():
        job.result.set_exception(error)
        job.result.exception()  # marks it as retrieved, since perhaps nobody waits any more
