"""The quick commands against a real fleet: what only a real daemon can show."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable

from tests.fleet.project import MSCTL, PATIENCE, Project, free_port


def test_scale_starts_and_ends_instances_while_the_door_stays_open(project: Project) -> None:
    port = free_port()
    project.config({"hello": {"port": port}})
    project.ok("up")
    scaled = project.ok("scale", "hello=3")
    assert "3/3" in scaled.out
    assert "1 scaled in" in scaled.err
    answers = {project.ok("call", "hello", "GET", "/").out for _ in range(9)}
    assert len(answers) == 3
    assert "1/1" in project.ok("scale", "hello=1").out
    assert project.ok("call", "hello", "GET", "/status/200").json()["instance"] == "hello-1"
    project.ok("stop")
    project.assert_nothing_left([port])


def test_every_quick_command_reaches_a_socket_whose_path_is_too_long_for_the_kernel(
    new_project: Callable[[str], Project],
) -> None:
    project = new_project("/".join(["long" * 20] * 3))
    assert len(os.fsencode(project.directory / ".msctl/control.sock")) > 107
    project.config({"hello": {"port": free_port()}})
    project.ok("up")
    assert project.ok("status", "-q").out == "hello\n"
    assert project.ok("call", "hello", "GET", "/x").json()["path"] == "/x"
    assert project.ok("wait").out == ""
    assert "hello-1" in project.ok("events").out
    assert "healthy" in project.ok("logs").out
    project.ok("stop")
    project.assert_nothing_left()


def test_a_watched_screen_is_given_back_when_the_daemon_is_killed(project: Project) -> None:
    project.config({"hello": {"port": free_port()}})
    project.ok("up")
    master, slave = pty.openpty()
    command = subprocess.Popen(
        [str(MSCTL), "status", "--watch"],
        cwd=project.directory,
        env=project.environment() | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        seen = read_until(master, b"1 of 1 running")
        os.kill(project.daemon_pid(), signal.SIGKILL)
        seen += read_until(master, b"the fleet was stopped")
        assert command.wait(PATIENCE) == 0
    finally:
        command.kill()
        command.wait()
        os.close(master)
    assert seen.count(b"\x1b[?1049h") == seen.count(b"\x1b[?1049l") == 1
    project.assert_nothing_left()


def test_a_command_under_way_is_told_when_the_daemon_is_killed(project: Project) -> None:
    project.config({"hello": {"port": free_port()}})
    project.ok("up")
    with project.popen("events", "-f") as command:
        try:
            assert command.stdout is not None
            assert "hello-1" in command.stdout.readline()
            os.kill(project.daemon_pid(), signal.SIGKILL)
            _, err = command.communicate(timeout=PATIENCE)
        finally:
            command.kill()
    assert command.returncode == 1
    assert err == "error: the daemon went away before it had finished\n"
    project.assert_nothing_left()


def read_until(descriptor: int, text: bytes) -> bytes:
    seen, end = b"", time.monotonic() + PATIENCE
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{text!r} never came, only {seen!r}"
        seen += os.read(descriptor, 65536)
    return seen
