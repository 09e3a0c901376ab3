import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from msctl.runtime.proctree import read_proc
from msctl.runtime.reaper import Reaper
from tests.runtime import real
from tests.runtime.virtual import eventually


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


def start(*command: str) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    child.returncode = 0  # the reaper collects it
    return child.pid


def shell_with_a_child() -> "subprocess.Popen[str]":
    """A shell that says its child's pid and ends."""
    command = ["sh", "-c", "sleep 0.1 & echo $!"]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    shell.returncode = 0  # the reaper collects it
    return shell


def is_zombie(pid: int) -> bool:
    try:
        stat = (read_proc(pid, "stat")).rpartition(b")")[2]
    except OSError:
        return False
    return stat.split()[0] == b"Z"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("kill -15 $$", -15)]
)
def test_the_end_of_a_child_is_told_once_with_its_exit_code_or_signal(
    script: str, code: int
) -> None:
    async def main() -> None:
        codes: list[int] = []
        async with real.reaping() as reaper:
            reaper.watch(start("sh", "-c", script), codes.append)
            await eventually(lambda: codes, "the exit is told")
            os.kill(os.getpid(), signal.SIGCHLD)
            await asyncio.sleep(0)
        assert codes == [code]

    real.run(main())


def test_many_that_end_together_are_all_told() -> None:
    async def main() -> None:
        codes: dict[int, int] = {}
        async with real.reaping() as reaper:
            for number in range(20):
                pid = start("sh", "-c", f"exit {number}")
                reaper.watch(pid, partial(codes.__setitem__, number))
            await eventually(lambda: len(codes) == 20, "all exits are told")
        assert codes == {number: number for number in range(20)}

    real.run(main())


def test_orphans_that_nobody_watches_are_collected() -> None:
    async def main() -> None:
        async with real.reaping() as reaper:
            told: list[int] = []
            # the shell ends at once, its child a little later: it is adopted, then it dies
            shell = shell_with_a_child()
            reaper.watch(shell.pid, told.append)
            assert shell.stdout is not None
            with shell.stdout:
                orphan = int(shell.stdout.readline())
            await eventually(lambda: told, "the shell has ended")
            await eventually(
                lambda: not real.is_alive(orphan) and not is_zombie(orphan), "it is collected"
            )

    real.run(main())


def test_what_ended_before_the_reaper_opened_is_collected_then() -> None:
    pid = start("true")
    real.wait_until(lambda: is_zombie(pid), "the child has ended")

    async def main() -> None:
        async with real.reaping():
            assert not is_zombie(pid)

    real.run(main())


def test_after_closing_children_are_left_to_whoever_started_them() -> None:
    async def main() -> None:
        async with real.reaping() as reaper:
            assert signal.getsignal(signal.SIGCHLD) == reaper._signalled

    real.run(main())
    child = subprocess.Popen(["sleep", "0"])
    assert child.wait() == 0


def test_a_child_that_ends_as_the_reaper_closes_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    async def main() -> None:
        for _ in range(100):
            async with real.reaping():
                child = subprocess.Popen(["true"])  # noqa: ASYNC220 - it is the subject
            child.wait()

    real.run(main())
    assert reported == []


def test_one_that_was_never_opened_may_be_closed() -> None:
    Reaper().close()


def test_a_child_that_ended_before_its_pid_was_known_is_told_when_it_is() -> None:
    async def main() -> None:
        codes: list[int] = []
        async with real.reaping() as reaper:
            with reaper.expecting():
                pid = start("sh", "-c", "exit 7")
                await eventually(lambda: not real.is_alive(pid), "it has ended")
                await eventually(lambda: not is_zombie(pid), "it is collected")
                reaper.watch(pid, codes.append)
                assert codes == [7]

    real.run(main())


def test_exit_codes_are_kept_as_long_as_any_child_is_expected_and_no_longer() -> None:
    async def main() -> None:
        async with real.reaping() as reaper:
            with reaper.expecting():
                with reaper.expecting():
                    pid = start("true")
                    await eventually(lambda: reaper._unclaimed, "it is collected")
                assert reaper._unclaimed == {pid: 0}
            assert reaper._unclaimed == {}

    real.run(main())
