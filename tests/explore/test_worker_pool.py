"""The queue before the workers: sharing, dropping, order, bounds, crashes; and how workers end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.routes import while_connected
from mechanical_ears.explore.worker import Worker, WorkerError
from mechanical_ears.explore.worker_pool import SLOW, BusyError, Rendering
from support.running_server import RunningServer, is_there, until


def with_workers(model, work, workers=1, **options):
    """Run a coroutine function on a rendering that has started."""

    async def run():
        rendering = Rendering(model, workers=workers, **options)
        await rendering.start()
        try:
            return await asyncio.wait_for(work(rendering), 60)
        finally:
            await rendering.stop()

    return asyncio.run(run())


def test_the_same_asked_for_twice_at_once_is_done_once(toy_weights):
    async def work(rendering):
        asked = [rendering.do("x", os.getpid, size=lambda pid: 1) for _ in range(5)]
        answers = await asyncio.gather(*asked)
        later = await rendering.do("x", os.getpid, size=lambda pid: 1)
        return answers, later, rendering.counts, rendering.pids

    answers, later, counts, pids = with_workers(toy_weights, work)
    assert [*answers, later] == pids * 6
    assert (counts.done, counts.shared, counts.cached) == (1, 4, 1)


def test_what_nobody_waits_for_is_dropped_unless_it_runs(toy_weights):
    async def work(rendering):
        runs = asyncio.create_task(rendering.do("runs", time.sleep, 0.3))
        await asyncio.sleep(0.1)
        waits = [asyncio.create_task(rendering.do(n, time.sleep, 10)) for n in range(3)]
        shared = asyncio.create_task(rendering.do(0, time.sleep, 10))
        last = asyncio.create_task(rendering.do("last", os.getpid))
        await asyncio.sleep(0)
        for task in (runs, *waits[1:]):
            task.cancel()
        await asyncio.sleep(0)
        assert rendering.counts.dropped == 2
        waits[0].cancel()
        await asyncio.sleep(0)
        assert rendering.counts.dropped == 2  # another one waits for it still
        shared.cancel()
        await last
        return rendering.counts

    counts = with_workers(toy_weights, work)
    assert (counts.done, counts.dropped) == (2, 3)


def test_who_has_gone_is_no_longer_worked_for(toy_weights):
    async def work(rendering):
        runs = asyncio.create_task(rendering.do("runs", time.sleep, 0.3))
        await asyncio.sleep(0.1)
        left = asyncio.Event()

        async def receive():
            await left.wait()
            return {"type": "http.disconnect"}

        request = Request({"type": "http"}, receive)
        asked = asyncio.create_task(while_connected(request, rendering.do("x", os.getpid)))
        await asyncio.sleep(0.05)
        assert (rendering.waiting, asked.done()) == (1, False)
        left.set()
        with pytest.raises(HTTPException):
            await asked
        await asyncio.sleep(0)
        assert rendering.waiting == 0
        await runs
        stays = Request({"type": "http"}, asyncio.Event().wait)
        return await while_connected(stays, rendering.do("y", os.getpid)), rendering.pids

    pid, pids = with_workers(toy_weights, work)
    assert [pid] == pids


def test_what_is_slow_lets_the_quick_pass(toy_weights):
    async def work(rendering):
        done = []

        async def do(name, kind):
            await rendering.do(name, time.sleep, 0.05, kind=kind)
            done.append(name)

        slow = [do(f"slow {n}", SLOW) for n in range(4)]
        tasks = [asyncio.create_task(each) for each in slow]
        await asyncio.sleep(0.02)  # the first of them runs
        tasks += [asyncio.create_task(do(f"quick {n}", 0)) for n in range(3)]
        await asyncio.gather(*tasks)
        return done

    assert with_workers(toy_weights, work) == [
        *["slow 0", "quick 0", "quick 1", "quick 2"],
        *["slow 1", "slow 2", "slow 3"],
    ]


def test_what_is_slow_leaves_a_worker_free(toy_weights):
    async def work(rendering):
        slow = [asyncio.create_task(rendering.do(n, time.sleep, 0.4, kind=SLOW)) for n in range(3)]
        await asyncio.sleep(0.1)
        await rendering.do("quick", os.getpid)
        ended = [task.done() for task in slow]
        await asyncio.gather(*slow)
        return ended

    assert with_workers(toy_weights, work, workers=2) == [False] * 3


def test_more_than_can_wait_is_refused(toy_weights):
    async def work(rendering):
        tasks = [asyncio.create_task(rendering.do(n, time.sleep, 0.05)) for n in range(9)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = with_workers(toy_weights, work, most=4)
    busy = [answer for answer in answers if isinstance(answer, BusyError)]
    assert len(busy) + answers.count(None) == 9
    assert len(busy) in (4, 5)  # one may have begun meanwhile
    assert busy[0].remedy


def test_the_cache_is_bounded_and_keeps_what_is_used(toy_weights):
    async def work(rendering):
        async def done(name):
            before = rendering.counts.done
            await rendering.do(name, os.getpid, size=lambda pid: 40)
            return rendering.counts.done - before

        first = [await done(name) for name in "aab"]
        await done("a")
        await done("c")  # b, the longest unused, has to go
        return first, [await done(name) for name in "ac"], await done("b")

    assert with_workers(toy_weights, work, cached=100) == ([1, 0, 1], [0, 0], 1)


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(toy_weights):
    async def work(rendering):
        before = rendering.pids
        with pytest.raises(WorkerError, match="ended unexpectedly"):
            await rendering.do("dies", os.abort, again=False)
        assert await rendering.do("pid", os.getpid) in rendering.pids
        assert rendering.counts.crashed == 1
        with pytest.raises(WorkerError):
            await rendering.do("dies twice", os.abort)
        assert rendering.counts.crashed == 3
        return before, rendering.pids

    before, after = with_workers(toy_weights, work)
    assert before != after
    assert not is_there(before[0])


def test_a_worker_killed_from_outside_costs_nobody_an_answer(toy_weights):
    async def work(rendering):
        task = asyncio.create_task(rendering.do("slow", time.sleep, 0.3))
        await asyncio.sleep(0.1)
        os.kill(rendering.pids[0], signal.SIGKILL)
        return await task

    assert with_workers(toy_weights, work) is None


def test_an_error_of_a_task_is_told_and_the_worker_goes_on(toy_weights):
    async def work(rendering):
        with pytest.raises(EarsError, match="ValueError: invalid literal"):
            await rendering.do("bad", int, "x")
        return await rendering.do("good", int, "7"), rendering.counts.crashed

    assert with_workers(toy_weights, work) == (7, 0)


def test_weights_that_are_missing_are_told_at_the_start(tmp_path):
    with pytest.raises(EarsError, match="no such folder of weights"):
        with_workers(tmp_path / "none", None)


def test_a_task_past_its_limit_is_ended():
    worker = Worker(os.getpid)
    assert worker.ready() == worker.pid
    with pytest.raises(WorkerError, match=r"more than 0\.1 s"):
        worker.do(time.sleep, 60, limit=0.1)
    assert not is_there(worker.pid)


def test_a_worker_ends_with_its_parent_even_in_the_middle_of_a_task():
    program = (
        "import time\n"
        "from mechanical_ears.explore.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker(time.time)\n"
        "    worker.ready()\n"
        "    print(worker.pid, flush=True)\n"
        "    worker.do(time.sleep, 60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert is_there(child)
    parent.kill()
    parent.communicate()
    until(lambda: not is_there(child), 20)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_server(tmp_path, how):
    with RunningServer(tmp_path, "--points", "11") as running:
        name = running.client.get("/api/space").json()["id"][0]
        wish = {"id": name, "format": "sf2", "every": 1, "layers": 8}
        running.client.post("/api/exports", json=wish)
        until(lambda: len(running.children) >= 2)
        children = running.children
        running.process.send_signal(how)
        running.process.wait(30)
        until(lambda: not any(map(is_there, children)), 20)
    if how == signal.SIGINT:
        assert running.process.returncode == 0
        assert "Traceback" not in running.errors
