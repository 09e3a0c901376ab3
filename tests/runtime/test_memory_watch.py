"""Instances that use more memory than they may are replaced, in peace."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from msctl.runtime.memory_watch import MemoryWatch, Watched, usage
from tests.runtime.bench import Bench, api
from tests.runtime.commanding import bench, running, up
from tests.runtime.virtual import eventually, run_virtual, settle

MIB = 1 << 20


def watched(parts: Bench, name: str) -> Watched:
    pid = parts.instance(name).pid
    assert pid is not None
    return Watched("a", name, pid, 100 * MIB)


def test_what_is_over_its_limit_twice_is_replaced_by_a_new_one_that_starts_first(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=2))
        async with parts.running():
            await up(parts).result()
            watch = MemoryWatch(parts.orchestrator)
            both = [watched(parts, "a-1"), watched(parts, "a-2")]
            much = {both[0].pid: 150 * MIB, both[1].pid: 50 * MIB}
            watch.act(both, much)
            await settle()
            assert running(parts) == ["a-1", "a-2"], "once may be a moment"
            watch.act(both, much)
            await eventually(lambda: running(parts) == ["a-2", "a-3"], "replaced")
            assert parts.spawner.order == ["a-1", "a-2", "a-3"]
            watch.act(both, much)
            await settle()
            assert running(parts) == ["a-2", "a-3"], "it is gone already"
        drained = [e for e in parts.events.kept() if (e.instance, e.after) == ("a-1", "draining")]
        assert [e.reason for e in drained] == ["it uses 150 MiB, more than its 100 MiB"]
        noted = "msctl replacing it: it uses 150 MiB, more than its 100 MiB"
        assert noted in parts.log("a-1")

    run_virtual(main())


def test_below_the_limit_in_between_it_counts_anew(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await up(parts).result()
            watch, one = MemoryWatch(parts.orchestrator), watched(parts, "a-1")
            for used in (150, 50, 150, 100):
                watch.act([one], {one.pid: used * MIB})
            await settle()
            assert running(parts) == ["a-1"]

    run_virtual(main())


def test_only_instances_with_a_limit_that_have_run_for_a_while_are_looked_at(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        limited = api("a", resources={"memory": "100M"})
        parts = bench(tmp_path, limited, api("b"))
        async with parts.running():
            await up(parts).result()
            watch = MemoryWatch(parts.orchestrator)
            assert list(watch._watched()) == []
            await asyncio.sleep(10)
            assert list(watch._watched()) == [watched(parts, "a-1")]

    run_virtual(main())


def test_the_memory_of_a_process_is_that_of_its_children_too() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        alone = usage([os.getpid()])[os.getpid()]
        assert alone > 10 * MIB
        assert usage([process.pid])[process.pid] > 0
        process.communicate(b"\n")
    assert usage([process.pid]) == {process.pid: 0}
