"""`msctl doctor` beside a fleet that runs, one that was killed, and somebody else's port."""

import os
import signal
import socket

from tests.fleet.project import Project, eventually, free_port, is_alive


def test_a_running_fleet_is_well_and_its_ports_are_its_own(project: Project) -> None:
    port = free_port()
    project.config({"app": {"port": port}})
    project.ok("up")
    out = project.ok("doctor").out
    assert f"daemon: runs, pid {project.daemon_pid()}; answered in " in out
    assert f"this fleet's: {port}" in out


def test_what_a_killed_daemon_left_is_found(project: Project) -> None:
    project.config({"app": {"port": free_port()}})
    project.ok("up")
    daemon, guardian = project.daemon_pid(), project.guardian_pid()
    for pid in (guardian, daemon):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_alive(daemon) and not is_alive(guardian), "both are dead")
    eventually(lambda: not project.processes(), "nothing of it runs")
    out = project.ok("doctor").out
    assert f"left by a daemon that was killed: run.json of pid {daemon} and control.sock" in out


def test_a_suspended_daemon_fails(project: Project) -> None:
    project.config({"app": {"port": free_port()}})
    project.ok("up")
    daemon = project.daemon_pid()
    os.kill(daemon, signal.SIGSTOP)
    try:
        result = project.run("doctor")
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert result.code == 1
    assert f"daemon: pid {daemon} does not answer" in result.out
    assert f"kill -CONT {daemon}" in result.out


def test_a_port_that_somebody_else_has_fails_with_its_holder(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project.config({"app": {"port": port}})
        result = project.run("doctor")
    assert result.code == 1
    assert f"fail  app: port {port} is held by pid {os.getpid()} (" in result.out
