import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from msctl.runtime import proctree
from msctl.runtime.proctree import descendants, instance_of, kill_descendants, read_proc
from tests.runtime import real

TREE = """
import os, sys, time
def fork(name, work):
    if os.fork() == 0:
        os.setsid()
        print(name, os.getpid(), flush=True)
        work()
        time.sleep(100)
fork("child", lambda: fork("grandchild", lambda: None))
print("root", os.getpid(), flush=True)
time.sleep(100)
"""


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


@pytest.fixture
def tree() -> Iterator[dict[str, int]]:
    """A process, its child and its grandchild, each in a session of its own."""
    command = [sys.executable, "-I", "-S", "-c", TREE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(3)]
        yield {name: int(pid) for name, pid in lines}
        for _, pid in lines:
            os.kill(int(pid), 9)


def test_descendants_come_parents_first_whatever_their_session(tree: dict[str, int]) -> None:
    expected = [tree["root"], tree["child"], tree["grandchild"]]
    assert [pid for pid in descendants(os.getpid()) if pid in expected] == expected
    assert descendants(tree["child"]) == [tree["grandchild"]]


def test_a_zombie_is_nobody() -> None:
    process = subprocess.Popen(["true"])
    real.wait_until(lambda: not real.is_alive(process.pid), "it has ended")
    assert process.pid not in descendants(os.getpid())
    process.wait()


def test_the_list_of_ps_says_the_same(
    tree: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not Path("/bin/ps").exists():
        pytest.skip("no ps here")
    monkeypatch.setattr(proctree, "_PROC", tmp_path)
    assert descendants(tree["child"]) == [tree["grandchild"]]


def test_an_instance_is_told_by_the_environment_it_started_with() -> None:
    environment = {"MSCTL_INSTANCE": "api-2", "X_MSCTL_INSTANCE": "api-3"}
    with subprocess.Popen(["/bin/sleep", "100"], env=environment) as process:
        # until exec the environment is still ours
        real.wait_until(lambda: instance_of(process.pid) is not None, "it runs")
        assert instance_of(process.pid) == "api-2"
        process.kill()


def test_a_process_that_is_none_of_ours_has_no_instance() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert instance_of(gone.pid) is None
    with pytest.raises((FileNotFoundError, ProcessLookupError)):
        read_proc(gone.pid, "stat")


GUARD = """
import os, signal, subprocess, sys, time
from msctl.runtime.proctree import become_subreaper, kill_descendants
become_subreaper()
subprocess.Popen([sys.executable, "-I", "-S", "-c", sys.argv[1]])
for _ in range(5):
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP; setsid sleep 100 & sleep 100"])
time.sleep(float(sys.argv[2]))
kill_descendants()
print("done")
"""


@pytest.mark.parametrize("head_start", ["0", "0.1"])
def test_everything_below_a_subreaper_is_killed_and_collected(head_start: str) -> None:
    before = set(descendants(os.getpid()))
    guard = subprocess.run(
        [sys.executable, "-c", GUARD, TREE, head_start],
        stdout=subprocess.PIPE, text=True, check=True, timeout=real.PATIENCE,
    )  # fmt: skip
    assert guard.stdout.endswith("done\n")
    assert set(descendants(os.getpid())) == before


def test_with_no_children_there_is_nothing_to_kill() -> None:
    code = "from msctl.runtime.proctree import kill_descendants; kill_descendants()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=real.PATIENCE)
    assert callable(kill_descendants)
