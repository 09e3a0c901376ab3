"""The guardian as a process: whatever becomes of the daemon, nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msctl.runtime.proctree import descendants
from msctl.runtime.statedir import StateDir
from tests.runtime import real

SCRIPT = '''
"""A guardian over a daemon of a few lines: DIRECTORY, CODE of the daemon."""
import json, os, signal, subprocess, sys, time
from pathlib import Path
from msctl.runtime.guardian import guard
from msctl.runtime.proctree import become_subreaper
from msctl.runtime.statedir import StateDir

state = StateDir(Path(sys.argv[1]), temporary="temporary" in sys.argv[2])
reader, writer = os.pipe()

def say(**facts):
    os.write(writer, json.dumps(facts).encode() + b"\\n")

def stray():
    """Start a process that leaves the session and its parent."""
    code = ("import os, time; os.setsid(); os.fork() and os._exit(0); "
            "os.write(%d, str(os.getpid()).encode()); time.sleep(100)")
    theirs, ours = os.pipe()
    subprocess.Popen([sys.executable, "-ISc", code % ours], pass_fds=[ours]).wait()
    return int(os.read(theirs, 100))

def run(lifeline):
    exec(sys.argv[2])
    return 0

out = os.dup(1)
if os.fork() == 0:
    os.close(writer)
    while data := os.read(reader, 65536):
        os.write(out, data)
    os._exit(0)
os.close(reader)
code = guard(state, run, writer)
os.write(out, json.dumps({"code": code, "pid": os.getpid()}).encode() + b"\\n")
'''


class Guardian:
    """A running guardian and what it and its daemon say."""

    def __init__(self, process: subprocess.Popen[str], state: StateDir) -> None:
        self.process = process
        self.state = state

    def line(self) -> dict[str, int]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "it ended without a word"
        facts: dict[str, int] = json.loads(line)
        return facts

    def end(self) -> int | None:
        """What `guard` returned."""
        while "code" not in (facts := self.line()):
            pass
        self.process.wait(real.PATIENCE)
        return facts["code"]


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


@contextmanager
def guarding(directory: Path, daemon: str) -> Iterator[Guardian]:
    state = StateDir(directory / ".msctl")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(state.root), daemon],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield Guardian(process, state)
        finally:
            process.kill()


def until_it_catches_signals(pid: int) -> None:
    """Until it is as far, the daemon is the one that would have to be asked."""

    def catches() -> bool:
        lines = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        return bool(int(lines["SigCgt"], 16) & (1 << (signal.SIGTERM - 1)))

    real.wait_until(catches, "the guardian handles signals")


def test_the_daemons_exit_code_is_its_own(tmp_path: Path) -> None:
    with guarding(tmp_path, "os._exit(7)") as guardian:
        assert guardian.end() == 7
    with guarding(tmp_path, "pass") as guardian:
        assert guardian.end() == 0


def test_a_daemon_that_raises_has_failed_and_its_traceback_is_kept(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / ".msctl"), "1 / 0"],
        capture_output=True, text=True, timeout=real.PATIENCE, check=True,
    )  # fmt: skip
    assert json.loads(process.stdout)["code"] == 1
    assert "ZeroDivisionError" in process.stderr


def test_a_daemon_that_is_killed_takes_everything_with_it_at_once(tmp_path: Path) -> None:
    daemon = (
        "become_subreaper(); child = subprocess.Popen(['sleep', '100']).pid\n"
        "say(daemon=os.getpid(), child=child, stray=stray()); time.sleep(100)"
    )
    with guarding(tmp_path, daemon) as guardian:
        facts = guardian.line()
        assert all(map(real.is_alive, facts.values()))
        begun = time.monotonic()
        os.kill(facts["daemon"], signal.SIGKILL)
        assert guardian.end() == -signal.SIGKILL
        assert time.monotonic() - begun < 5
        assert not any(map(real.is_alive, facts.values()))


def test_what_a_daemon_leaves_behind_when_it_ends_is_killed_too(tmp_path: Path) -> None:
    daemon = "say(stray=stray(), child=subprocess.Popen(['sleep', '100']).pid)"
    with guarding(tmp_path, daemon) as guardian:
        facts = guardian.line()
        assert guardian.end() == 0
        assert not any(map(real.is_alive, facts.values()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_guardian_asks_the_daemon_to_end(tmp_path: Path, number: int) -> None:
    daemon = (
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(5))\n"
        "say(ready=os.getpid(), guardian=os.getppid()); time.sleep(100)"
    )
    with guarding(tmp_path, daemon) as guardian:
        facts = guardian.line()
        until_it_catches_signals(facts["guardian"])
        os.kill(facts["guardian"], number)
        assert guardian.end() == 5


def test_a_closed_terminal_is_none_of_its_business(tmp_path: Path) -> None:
    daemon = "say(guardian=os.getppid()); time.sleep(100)"
    with guarding(tmp_path, daemon) as guardian:
        pid = guardian.line()["guardian"]
        until_it_catches_signals(pid)
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGTERM)
        assert guardian.end() == -signal.SIGTERM


def test_the_daemon_learns_that_its_guardian_is_dead(tmp_path: Path) -> None:
    daemon = (
        "say(guardian=os.getppid(), daemon=os.getpid())\n"
        "os.read(lifeline, 1); say(learnt=1); time.sleep(100)"
    )
    with guarding(tmp_path, daemon) as guardian:
        facts = guardian.line()
        os.kill(facts["guardian"], signal.SIGKILL)
        assert guardian.line() == {"learnt": 1}
        assert guardian.state.is_locked()  # the daemon has it as well
        os.kill(facts["daemon"], signal.SIGKILL)
        real.wait_until(lambda: not guardian.state.is_locked(), "the lock is free")


def test_the_lock_is_released_last(tmp_path: Path) -> None:
    daemon = (
        "(state.socket).touch(); state.run_file.touch()\n"
        "say(daemon=os.getpid(), stray=stray()); time.sleep(100)"
    )
    with guarding(tmp_path, daemon) as guardian:
        facts = guardian.line()
        assert guardian.state.is_locked()
        os.kill(facts["daemon"], signal.SIGKILL)
        while guardian.state.is_locked():
            time.sleep(0.0005)
        # whoever gets the lock finds a clean place
        assert not real.is_alive(facts["stray"])
        assert not guardian.state.socket.exists()
        assert not guardian.state.run_file.exists()
        guardian.end()


def test_of_two_guardians_one_gives_way_and_touches_nothing(tmp_path: Path) -> None:
    daemon = "(state.socket).touch(); say(daemon=os.getpid()); time.sleep(100)"
    with guarding(tmp_path, daemon) as first:
        facts = first.line()
        with guarding(tmp_path, "say(never=1)") as second:
            assert second.end() is None
        assert first.state.socket.exists()
        assert real.is_alive(facts["daemon"])
        os.kill(facts["daemon"], signal.SIGKILL)
        first.end()


def test_leftovers_of_a_dead_fleet_are_gone_before_the_daemon_begins(tmp_path: Path) -> None:
    state = StateDir(tmp_path / ".msctl")
    state.create()
    state.socket.touch()
    state.run_file.touch()
    with guarding(
        tmp_path, "say(left=state.socket.exists() + state.run_file.exists())"
    ) as guardian:
        assert guardian.line() == {"left": 0}
        assert guardian.end() == 0


def test_of_a_temporary_fleet_nothing_is_left_however_the_daemon_ends(tmp_path: Path) -> None:
    daemon = "say(daemon=os.getpid()); temporary = state.logs.exists(); time.sleep(100)"
    with guarding(tmp_path, daemon) as guardian:
        facts = guardian.line()
        os.kill(facts["daemon"], signal.SIGKILL)
        guardian.end()
        assert not guardian.state.root.exists()


def test_the_descriptor_that_was_handed_over_is_the_daemons_alone(tmp_path: Path) -> None:
    """Its end is seen as soon as the daemon closes it, though the guardian lives on."""
    daemon = "os.close(writer); time.sleep(100)"
    with guarding(tmp_path, f"say(daemon=os.getpid()); {daemon}") as guardian:
        pid = guardian.line()["daemon"]
        children = descendants(guardian.process.pid)
        # the copier ends when it reads the end: only the daemon is left
        real.wait_until(
            lambda: descendants(guardian.process.pid) == [pid], f"the copier ends: {children}"
        )
        os.kill(pid, signal.SIGKILL)
        guardian.process.wait(real.PATIENCE)
