"""Whichever way a fleet ends, nothing of it is left."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.fleet.project import Project, eventually, free_port, is_alive

STUBBORN = """\
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", '''
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    os.setsid()
open(sys.argv[-1], "w").write(str(os.getpid()))
time.sleep(600)
''', *sys.argv[1:]])
time.sleep(600)
"""


def stubborn_fleet(project: Project) -> list[int]:
    """A service that ignores SIGTERM with a grandchild in its group, and one in its own session."""
    project.write("stubborn.py", STUBBORN)
    command = [sys.executable, "stubborn.py"]
    project.config(
        {
            "web": {"port": free_port()},
            "group": {
                "service_type": "worker",
                "command": [*command, "group.pid"],
                "stop_timeout": 0.3,
            },
            "session": {
                "service_type": "worker",
                "command": [*command, "setsid", "session.pid"],
                "stop_timeout": 0.3,
            },
        }
    )
    project.ok("up")
    return [read_pid(project.directory / f"{name}.pid") for name in ("group", "session")]


def read_pid(file: Path) -> int:
    return int(eventually(lambda: file.exists() and file.read_text(), f"{file} is written"))


def ports_of(project: Project) -> list[int]:
    document = project.status()
    gateway = int(document["gateway"].rpartition(":")[2])
    return [gateway] + [
        port
        for service in document["services"]
        for port in [service["port"], *(i["port"] for i in service["instances"])]
        if port
    ]


def test_stop_ends_what_ignores_sigterm_and_what_left_its_session(project: Project) -> None:
    grandchildren = stubborn_fleet(project)
    ports = ports_of(project)
    project.ok("stop")
    assert not any(map(is_alive, grandchildren))
    project.assert_nothing_left(ports)


def test_stop_of_one_service_ends_its_stray_grandchild_and_leaves_the_others(
    project: Project,
) -> None:
    grouped, stray = stubborn_fleet(project)
    project.ok("stop", "session")
    assert not is_alive(stray)
    assert is_alive(grouped)


@pytest.mark.parametrize("victims", ["daemon", "guardian", "both"])
def test_sigkill_of_daemon_or_guardian_leaves_nothing(project: Project, victims: str) -> None:
    grandchildren = stubborn_fleet(project)
    ports = ports_of(project)
    pids = {"daemon": [project.daemon_pid()], "guardian": [project.guardian_pid()]}
    pids["both"] = pids["guardian"] + pids["daemon"]
    for pid in pids[victims]:
        os.kill(pid, signal.SIGKILL)
    if victims == "both":
        # Nobody is left to clean up: the kernel kills the instances themselves.
        eventually(lambda: len(project.processes()) <= len(grandchildren), "instances are gone")
        project.clean_up()
        return
    project.assert_nothing_left(ports)
    assert not any(map(is_alive, grandchildren))


def test_the_fleet_starts_again_after_a_sigkill_of_everything(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    for pid in (project.guardian_pid(), project.daemon_pid()):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not project.processes(), "the kernel has killed the instance")
    assert project.run("status").code == 4
    project.ok("up")
    project.ok("status", "--check")


def test_sigterm_of_the_daemon_is_an_orderly_stop(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    os.kill(project.daemon_pid(), signal.SIGTERM)
    project.assert_nothing_left()
    log = (project.directory / ".msctl/logs/a-1.log").read_text()
    assert "msctl stopped" in log


def test_ctrl_c_in_the_foreground_stops_all_and_exits_130(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    with project.popen("up", "--foreground") as process:
        eventually(lambda: project.run("status", "--check").code == 0, "the fleet is up")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "a-1" in out
    project.assert_nothing_left()


def test_a_second_ctrl_c_in_the_foreground_kills(project: Project) -> None:
    project.write("stubborn.py", STUBBORN)
    project.config(
        {
            "slow": {
                "service_type": "worker",
                "command": [sys.executable, "stubborn.py", "x.pid"],
                "stop_timeout": 600,
            }
        }
    )
    with project.popen("up", "--foreground") as process:
        eventually((project.directory / "x.pid").exists, "the worker ignores SIGTERM")
        process.send_signal(signal.SIGINT)
        eventually(lambda: project.service("slow")["status"] == "stopping", "it is stopping")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    project.assert_nothing_left()


def test_the_fleet_ends_with_a_foreground_command_that_is_killed(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    with project.popen("up", "--foreground") as process:
        eventually(lambda: project.run("status", "--check").code == 0, "the fleet is up")
        process.kill()
    project.assert_nothing_left()


def test_dependents_stop_before_their_dependencies(project: Project) -> None:
    project.config(
        {"low": {"port": free_port()}, "high": {"port": free_port(), "dependencies": ["low"]}}
    )
    project.ok("up")
    project.ok("stop")
    logs = project.directory / ".msctl/logs"
    ends = {
        name: next(
            line
            for line in (logs / f"{name}-1.log").read_text().splitlines()
            if "msctl stopped" in line
        )
        for name in ("low", "high")
    }
    assert ends["high"] < ends["low"]


def test_stop_by_name_closes_the_front_door_and_warns_of_dependents(project: Project) -> None:
    low, high = free_port(), free_port()
    project.config({"low": {"port": low}, "high": {"port": high, "dependencies": ["low"]}})
    project.ok("up")
    stopped = project.ok("stop", "low")
    assert "high" in stopped.err
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", low))
    assert project.service("high")["status"] == "running"
    project.ok("start", "low")
    project.ok("status", "--check")


def test_stop_without_a_daemon_is_fine(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("stop")


def test_a_child_that_writes_without_end_is_never_blocked(project: Project) -> None:
    project.write(
        "noisy.py",
        """\
        import sys
        for n in range(300_000):
            print("x" * 100)
        print("done", file=open("done", "w"))
        import time; time.sleep(600)
        """,
    )
    project.config({"noisy": {"service_type": "worker", "command": [sys.executable, "noisy.py"]}})
    project.ok("up")
    eventually((project.directory / "done").exists, "all of it was written")
    project.ok("stop")
    files = sorted(p.name for p in (project.directory / ".msctl/logs").iterdir())
    assert files == ["noisy-1.log", "noisy-1.log.1", "noisy-1.log.2"]
    assert all(
        p.stat().st_size <= 10 * 1024 * 1024 for p in (project.directory / ".msctl/logs").iterdir()
    )


def test_stop_is_quick_for_idle_services(project: Project) -> None:
    project.config({f"s{n}": {"port": free_port()} for n in range(5)})
    project.ok("up")
    began = time.monotonic()
    project.ok("stop")
    assert time.monotonic() - began < 5, "far below the drain and stop timeouts of 10 s"


def test_logs_are_readable_without_a_daemon(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    project.ok("stop")
    out = project.ok("logs", "a").out
    assert "started" in out
    assert Path(project.directory / ".msctl/logs/a-1.log").exists()
