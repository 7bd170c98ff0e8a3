"""Workers: how many to start, and threads or processes that map a function over items in order.

The number of processors of the machine (`os.cpu_count`) is too many where the process is bound to
some of them (CPU affinity: ``taskset``, job schedulers) or where its control group has a quota of
processor time (containers: ``docker run --cpus``, Kubernetes). Control groups are nested, and the
smallest quota counts (Linux kernel documentation, "CFS Bandwidth Control" and "Control Group v2").
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

QUEUED_ITEMS: Final = 2  # per worker, that are computed ahead of the reader
CGROUP_MOUNT: Final = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP: Final = Path("/proc/self/cgroup")
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def worker_count() -> int:
    """Processors that this process may use, at least 1; a broken quota counts as a whole one."""
    return max(1, min(_affine_cpus(), math.ceil(min(cgroup_cpus(), 1e6))))


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
    *,
    processes: bool = False,
) -> Generator[Result, None, None]:
    """Results of a function in the order of its arguments, computed by threads or processes.

    Only a few items per worker are computed ahead of the reader, so that many large results do not
    fill the memory. What is left is cancelled where the reader stops or an item fails.

    Args:
        function: called once for each item, in several threads or processes.
        items: read as they are needed.
        workers: threads or processes; None for `worker_count`.
        processes: start processes, for functions that hold Python's lock; each uses one thread.
    """
    workers = workers or worker_count()
    waiting = iter(items)
    pool: Executor
    if processes:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    else:
        pool = ThreadPoolExecutor(workers)
    with single_threaded_workers() if processes else nullcontext(), pool:
        running = deque(
            pool.submit(function, item) for item in islice(waiting, QUEUED_ITEMS * workers)
        )
        try:
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(function, item) for item in islice(waiting, 1))
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def single_threaded_workers() -> Iterator[None]:
    """Let NumPy use one thread in processes started here: several workers use the cores better."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # read when NumPy is imported
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _affine_cpus() -> int:
    """Processors that the scheduler may run this process on."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_cpus(mount: Path = CGROUP_MOUNT, membership: Path = CGROUP_MEMBERSHIP) -> float:
    """Processors' worth of time that the control groups of this process allow.

    Args:
        mount: where control groups are mounted.
        membership: file of the kernel that lists the groups of this process, a line
            ``hierarchy:controllers:path`` each; version 2 has no controllers.

    Returns:
        Above 0, which need not be whole; infinity without a quota.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return math.inf
    cpus = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = PurePosixPath(path.lstrip("/"))
        for root in {mount / controllers, mount / "cpu"} if controllers else {mount}:
            cpus = min(cpus, *(_quota(root / each) for each in (group, *group.parents)))
    return cpus


def _quota(group: Path) -> float:
    """Quota over period of one control group, of version 2 or 1; infinity without one."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
