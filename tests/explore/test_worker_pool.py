"""The queue of jobs: sharing, dropping, priorities, limits and crashes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.routes import while_connected
from mechanical_ears.explore.worker import WorkerError
from mechanical_ears.explore.worker_pool import BACKGROUND, BusyError, WorkerPool
from support.running_server import is_running


def with_pool(model, work, workers=1, **options):
    """Run a coroutine function with a pool that has been started."""

    async def run():
        pool = WorkerPool(model, workers=workers, **options)
        await pool.start()
        try:
            return await asyncio.wait_for(work(pool), 60)
        finally:
            await pool.stop()

    with ThreadPoolExecutor(1) as thread:  # this one may have the browser tests' event loop
        return thread.submit(asyncio.run, run()).result()


def test_equal_jobs_are_shared_and_their_result_is_cached(toy_weights):
    async def work(pool):
        jobs = [pool.run("x", os.getpid, size=lambda pid: 1) for _ in range(5)]
        results = await asyncio.gather(*jobs)
        later = await pool.run("x", os.getpid, size=lambda pid: 1)
        return results, later, pool.counts, pool.pids

    results, later, counts, pids = with_pool(toy_weights, work)
    assert [*results, later] == pids * 6
    assert (counts.done, counts.shared, counts.cached) == (1, 4, 1)


def test_a_job_that_nobody_waits_for_is_dropped_unless_it_runs(toy_weights):
    async def work(pool):
        runs = asyncio.create_task(pool.run("runs", time.sleep, 0.3))
        await asyncio.sleep(0.1)
        waits = [asyncio.create_task(pool.run(n, time.sleep, 10)) for n in range(3)]
        shared = asyncio.create_task(pool.run(0, time.sleep, 10))
        last = asyncio.create_task(pool.run("last", os.getpid))
        await asyncio.sleep(0)
        for task in (runs, *waits[1:]):
            task.cancel()
        await asyncio.sleep(0)
        assert pool.counts.dropped == 2
        waits[0].cancel()
        await asyncio.sleep(0)
        assert pool.counts.dropped == 2  # another caller still waits for it
        shared.cancel()
        await last
        return pool.counts

    counts = with_pool(toy_weights, work)
    assert (counts.done, counts.dropped) == (2, 3)


def test_the_job_of_a_disconnected_client_is_dropped(toy_weights):
    async def work(pool):
        runs = asyncio.create_task(pool.run("runs", time.sleep, 0.3))
        await asyncio.sleep(0.1)
        disconnected = asyncio.Event()

        async def receive():
            await disconnected.wait()
            return {"type": "http.disconnect"}

        request = Request({"type": "http"}, receive)
        job = asyncio.create_task(while_connected(request, pool.run("x", os.getpid)))
        await asyncio.sleep(0.05)
        assert (pool.waiting, job.done()) == (1, False)
        disconnected.set()
        with pytest.raises(HTTPException):
            await job
        await asyncio.sleep(0)
        assert pool.waiting == 0
        await runs
        connected = Request({"type": "http"}, asyncio.Event().wait)
        return await while_connected(connected, pool.run("y", os.getpid)), pool.pids

    pid, pids = with_pool(toy_weights, work)
    assert [pid] == pids


def test_interactive_jobs_run_before_background_jobs(toy_weights):
    async def work(pool):
        done = []

        async def run(name, priority):
            await pool.run(name, time.sleep, 0.05, priority=priority)
            done.append(name)

        slow = [run(f"slow {n}", BACKGROUND) for n in range(4)]
        tasks = [asyncio.create_task(each) for each in slow]
        await asyncio.sleep(0.02)  # the first one runs
        tasks += [asyncio.create_task(run(f"quick {n}", 0)) for n in range(3)]
        await asyncio.gather(*tasks)
        return done

    assert with_pool(toy_weights, work) == [
        *["slow 0", "quick 0", "quick 1", "quick 2"],
        *["slow 1", "slow 2", "slow 3"],
    ]


def test_background_jobs_leave_one_worker_free(toy_weights):
    async def work(pool):
        slow = [
            asyncio.create_task(pool.run(n, time.sleep, 0.4, priority=BACKGROUND)) for n in range(3)
        ]
        await asyncio.sleep(0.1)
        await pool.run("quick", os.getpid)
        ended = [task.done() for task in slow]
        await asyncio.gather(*slow)
        return ended

    assert with_pool(toy_weights, work, workers=2) == [False] * 3


def test_jobs_beyond_the_limit_are_refused(toy_weights):
    async def work(pool):
        tasks = [asyncio.create_task(pool.run(n, time.sleep, 0.05)) for n in range(9)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = with_pool(toy_weights, work, max_waiting=4)
    busy = [result for result in results if isinstance(result, BusyError)]
    assert len(busy) + results.count(None) == 9
    assert len(busy) in (4, 5)  # one may have started meanwhile
    assert busy[0].remedy


def test_the_cache_is_limited_and_drops_the_least_recently_used_result(toy_weights):
    async def work(pool):
        async def computed(name):
            before = pool.counts.done
            await pool.run(name, os.getpid, size=lambda pid: 40)
            return pool.counts.done - before

        first = [await computed(name) for name in "aab"]
        await computed("a")
        await computed("c")  # drops b
        return first, [await computed(name) for name in "ac"], await computed("b")

    assert with_pool(toy_weights, work, cache_bytes=100) == ([1, 0, 1], [0, 0], 1)


def test_a_crashed_worker_is_replaced(toy_weights):
    async def work(pool):
        before = pool.pids
        with pytest.raises(WorkerError, match="ended unexpectedly"):
            await pool.run("crash", os.abort, retry=False)
        assert await pool.run("pid", os.getpid) in pool.pids
        assert pool.counts.crashed == 1
        with pytest.raises(WorkerError):
            await pool.run("crash twice", os.abort)
        assert pool.counts.crashed == 3
        return before, pool.pids

    before, after = with_pool(toy_weights, work)
    assert before != after
    assert not is_running(before[0])


def test_the_job_of_a_killed_worker_runs_again(toy_weights):
    async def work(pool):
        task = asyncio.create_task(pool.run("slow", time.sleep, 0.3))
        await asyncio.sleep(0.1)
        os.kill(pool.pids[0], signal.SIGKILL)
        return await task

    assert with_pool(toy_weights, work) is None


def test_an_error_of_a_task_is_raised_and_the_worker_continues(toy_weights):
    async def work(pool):
        with pytest.raises(EarsError, match="ValueError: invalid literal"):
            await pool.run("bad", int, "x")
        return await pool.run("good", int, "7"), pool.counts.crashed

    assert with_pool(toy_weights, work) == (7, 0)


def test_missing_weights_are_reported_at_the_start(tmp_path):
    with pytest.raises(EarsError, match="no such folder of weights"):
        with_pool(tmp_path / "none", None)
