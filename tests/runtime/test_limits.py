"""Limits on real processes, by whatever means this machine has."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from msctl.config.process import ResourcesConfig
from msctl.runtime.limits import LOOSE_HEADROOM, Limiter, hard_memory, open_limiter

MIB = 1 << 20
GREEDY = "import sys; sys.stdin.read(1); x = [bytearray(1 << 20) for _ in range(400)]"


@contextmanager
def waiting(code: str = "import sys; sys.stdin.read(1)") -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def without_groups(cpus: tuple[int, ...] = tuple(os.sched_getaffinity(0))) -> Limiter:
    return Limiter({}, cpus)


def test_files_and_priority_are_set_for_the_process() -> None:
    with waiting() as process:
        before = os.getpriority(os.PRIO_PROCESS, process.pid)
        applied = without_groups().apply(
            "a-1", process.pid, ResourcesConfig(open_files=77, nice=before + 3)
        )
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (77, 77)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == before + 3
        assert applied.how == f"open_files 77, nice {before + 3}"
        assert applied.release()


def test_without_control_groups_it_says_what_is_used_instead() -> None:
    with waiting() as process:
        applied = without_groups().apply(
            "a-1", process.pid, ResourcesConfig(memory=100 * MIB, cpus=0.5)
        )
        assert applied.how.startswith("no cgroup for memory and cpu, memory 100 MiB by rlimit")
        assert "cpus 0.5 by affinity (1 of " in applied.how
        assert len(os.sched_getaffinity(process.pid)) == 1
        most = 100 * MIB + LOOSE_HEADROOM
        assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (most, most)


def test_instances_are_spread_over_the_processors() -> None:
    limiter = without_groups((4, 5, 6))
    chosen = [limiter._processors(2) for _ in range(3)]
    assert chosen == [[4, 5], [6, 4], [5, 6]]
    assert limiter._processors(8) == [4, 5, 6]


def test_a_process_that_has_ended_needs_no_limits() -> None:
    with waiting() as process:
        process.kill()
        process.wait()
        limits = ResourcesConfig(memory=100 * MIB, cpus=1, nice=5, open_files=100)
        assert without_groups().apply("a-1", process.pid, limits).how == ""
        assert open_limiter().apply("a-1", process.pid, limits).group is None


def test_a_group_that_cannot_be_made_is_told_and_done_without() -> None:
    limiter = open_limiter()
    if not limiter.controllers:
        pytest.skip("no control groups here")
    with waiting() as process:
        applied = Limiter(limiter.controllers, limiter.cpus, owner="no/such/place").apply(
            "a-1", process.pid, ResourcesConfig(cpus=1)
        )
        assert applied.how.startswith("cgroups cannot be written")
        assert "affinity" in applied.how


def test_what_outgrows_its_group_is_killed_and_counted() -> None:
    limiter = open_limiter()
    with waiting(GREEDY) as process:
        applied = limiter.apply("a-1", process.pid, ResourcesConfig(memory=64 * MIB))
        if applied.group is None:
            pytest.skip("control groups cannot be written here")
        assert applied.how == "memory 64 MiB by cgroup"
        assert applied.group.members() == [process.pid]
        assert not applied.release()
        process.communicate(b"x")
        assert process.returncode == -9
        assert applied.kills() >= 1
        assert applied.release()


def test_the_kernel_leaves_room_for_a_replacement_in_peace() -> None:
    assert hard_memory(100 * MIB) == 164 * MIB
    assert hard_memory(1000 * MIB) == 1250 * MIB
