"""Workers: affinity and the quotas of control groups, versions 1 and 2; a map in order."""

import math
import os
import time

import pytest

from mechanical_ears import workers
from mechanical_ears.workers import cgroup_cpus, map_in_order, worker_count


@pytest.fixture
def groups(tmp_path):
    """Writes a membership file and control group files; returns the processors they allow."""

    def allowed(membership: str, files: dict[str, str]) -> float:
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cgroup_cpus(tmp_path / "cgroup", tmp_path / "membership")

    return allowed


@pytest.mark.parametrize(
    ("membership", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "cpu.max": "200000 100000"}, 2),
        (
            "4:memory:/x\n3:cpu,cpuacct:/docker/1\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        (
            "3:cpu:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "800000", "cpu/job/cpu.cfs_period_us": "200000"},
            4,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        (
            "3:cpuset:/\n",
            {"cpuset/cpu.max": "1 1"},
            math.inf,
        ),
        ("0::/\n", {"cpu.max": "nonsense"}, math.inf),
    ],
)
def test_the_smallest_quota_of_nested_groups_counts(groups, membership, files, cpus):
    assert groups(membership, files) == cpus


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert cgroup_cpus(tmp_path, tmp_path / "absent") == math.inf


@pytest.mark.parametrize(
    ("affine", "quota", "count"),
    [(8, math.inf, 8), (8, 2.0, 2), (8, 2.5, 3), (8, 0.2, 1), (1, 4.0, 1)],
)
def test_affinity_and_quota_both_count(monkeypatch, affine, quota, count):
    monkeypatch.setattr(workers, "_affine_cpus", lambda: affine)
    monkeypatch.setattr(workers, "cgroup_cpus", lambda: quota)
    assert worker_count() == count


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_a_process_bound_to_one_processor_starts_one_worker():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert worker_count() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_results_keep_the_order_of_the_items():
    def slow_square(number):
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(map_in_order(slow_square, range(40), workers=4)) == [n * n for n in range(40)]
    assert list(map_in_order(slow_square, [])) == []


def test_only_a_few_items_are_read_ahead():
    read = []

    def items():
        for number in range(1000):
            read.append(number)
            yield number

    results = map_in_order(float, items(), workers=2)
    assert next(results) == 0
    assert len(read) == 4
    results.close()
    assert len(read) == 4


def test_an_error_ends_the_map():
    results = map_in_order(lambda number: 1 // number, [2, 1, 0, 5], workers=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
