"""Worker processes: time limits, and how they exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from mechanical_ears.explore.worker import Worker, WorkerError
from support.running_server import RunningServer, is_running, wait_until


def test_a_task_beyond_its_time_limit_is_killed():
    worker = Worker(os.getpid)
    assert worker.wait_until_ready() == worker.pid
    with pytest.raises(WorkerError, match=r"more than 0\.1 s"):
        worker.run(time.sleep, 60, max_seconds=0.1)
    assert not is_running(worker.pid)


def test_a_worker_exits_with_its_parent_even_during_a_task():
    program = (
        "import time\n"
        "from mechanical_ears.explore.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker(time.time)\n"
        "    worker.wait_until_ready()\n"
        "    print(worker.pid, flush=True)\n"
        "    worker.run(time.sleep, 60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_running(child), 20)


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_all_workers_exit_with_the_server(tmp_path, stop_signal):
    with RunningServer(tmp_path, "--points", "11") as running:
        id = running.client.get("/api/space").json()["id"][0]
        options = {"id": id, "format": "sf2", "every": 1, "layers": 8}
        running.client.post("/api/exports", json=options)
        wait_until(lambda: len(running.children) >= 2)
        children = running.children
        running.process.send_signal(stop_signal)
        running.process.wait(30)
        wait_until(lambda: not any(map(is_running, children)), 20)
    if stop_signal == signal.SIGINT:
        assert running.process.returncode == 0
        assert "Traceback" not in running.errors
