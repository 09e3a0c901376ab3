"""Instances that are forked from the template: it is not to be noticed, whatever becomes of it."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.fleet.project import Project, eventually, free_port, is_alive, parent_of

APP = '''
"""Says how it was started, and ends as it is told."""
import json, os, sys

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    action, _, argument = scope["path"][1:].partition("/")
    if action == "exit":
        os._exit(int(argument))
    if action == "kill":
        os.kill(os.getpid(), int(argument))
    # The template runs with -P, and so does what is forked from it.
    body = json.dumps({"warm": sys.flags.safe_path, "pid": os.getpid(), "argv": sys.argv,
                       "preloaded": "mailbox" in sys.modules, "url": os.environ.get("B_URL"),
                       "instance": os.environ["MSCTL_INSTANCE"]}).encode()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
'''


def config(project: Project, services: dict[str, dict[str, Any]], **top: Any) -> None:
    project.write("said.py", APP)
    common = {"app": "said:app", "port": "auto", "start": "auto"}
    project.config({name: common | keys for name, keys in services.items()}, **top)


def ask(project: Project, service: str, path: str = "/") -> dict[str, Any]:
    answer: dict[str, Any] = project.ok("call", service, "GET", path).json()
    return answer


def templates(project: Project) -> list[int]:
    daemon = project.daemon_pid()
    return [
        pid
        for pid, command in project.processes().items()
        if "_template" in command.split() and parent_of(pid) == daemon
    ]


def template(project: Project) -> int:
    (pid,) = templates(project)
    return pid


def log_of(project: Project, instance: str) -> str:
    return (project.directory / f".msctl/logs/{instance}.log").read_text()


def test_auto_is_warm_and_exec_and_python_are_not(project: Project) -> None:
    config(project, {"a": {}, "b": {"start": "exec"}, "c": {"python": sys.executable}})
    project.ok("up")
    answers = {name: ask(project, name) for name in "abc"}
    assert [answers[name]["warm"] for name in "abc"] == [True, False, False]
    for name, answer in answers.items():
        assert answer["instance"] == f"{name}-1"
        assert answer["argv"] == ["said:app"]
        assert answer["pid"] == project.instance(name)["pid"]
        assert parent_of(answer["pid"]) == project.daemon_pid()
        assert "exec'd" not in log_of(project, f"{name}-1")


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [("/exit/7", 7, "exited with code 7"), ("/kill/11", -11, "killed by SIGSEGV")],
)
def test_a_crash_is_told_with_its_exit_code_or_signal_and_repaired(
    project: Project, path: str, code: int, words: str
) -> None:
    config(project, {"a": {}})
    project.ok("up")
    before = ask(project, "a")["pid"]
    project.run("call", "a", "GET", path)
    eventually(lambda: project.instance("a")["pid"] not in {None, before}, "it is restarted")
    project.ok("wait", "a")
    assert words in log_of(project, "a-1")
    after = ask(project, "a")
    assert after["warm"]
    assert after["pid"] != before
    assert project.instance("a")["exit_code"] in {None, code}


def test_a_killed_template_disturbs_no_instance_and_the_next_start_works(project: Project) -> None:
    config(project, {"a": {}, "b": {}})
    project.ok("up", "a")
    pid, killed = ask(project, "a")["pid"], template(project)
    os.kill(killed, signal.SIGKILL)
    project.ok("up", "b")
    assert ask(project, "b")["instance"] == "b-1"
    assert ask(project, "a")["pid"] == pid
    assert project.instance("a")["generation"] == 1

    def is_back() -> bool:
        found = templates(project)
        return bool(found) and found != [killed]

    def is_warm_again() -> bool:
        project.ok("restart", "b")
        return bool(ask(project, "b")["warm"])

    eventually(is_warm_again, "instances are forked again")
    assert is_back()
    assert ask(project, "a")["pid"] == pid


VICTIMS: dict[str, Callable[[Project], Sequence[int]]] = {
    "daemon": lambda p: [p.daemon_pid()],
    "daemon and template": lambda p: [p.daemon_pid(), template(p)],
    "template and daemon": lambda p: [template(p), p.daemon_pid()],
    "guardian and daemon": lambda p: [p.guardian_pid(), p.daemon_pid()],
    "all three": lambda p: [p.guardian_pid(), p.daemon_pid(), template(p)],
}


@pytest.mark.parametrize("who", VICTIMS)
def test_nothing_is_left_of_warm_instances_whoever_is_killed(project: Project, who: str) -> None:
    config(project, {"a": {"replicas": 3}, "b": {}})
    project.ok("up")
    assert ask(project, "a")["warm"]
    for pid in VICTIMS[who](project):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not project.processes(), f"no process left of {project.processes()}")


def test_the_template_ends_with_the_fleet(project: Project) -> None:
    config(project, {"a": {}})
    project.ok("up")
    pid = template(project)
    project.ok("stop")
    eventually(lambda: not is_alive(pid), "the template has ended")
    project.assert_nothing_left()


def test_a_preload_that_fails_is_named_in_the_log_and_instances_are_execd(project: Project) -> None:
    config(project, {"a": {}}, preload=["no_such_module"])
    project.ok("up")
    assert not ask(project, "a")["warm"]
    reason = "preload: no_such_module cannot be imported (ModuleNotFoundError"
    assert reason in log_of(project, "a-1")
    assert reason in (project.directory / ".msctl/daemon.log").read_text()


def test_another_preload_renews_the_template(project: Project) -> None:
    config(project, {"a": {}})
    project.ok("up")
    before = ask(project, "a")
    assert (before["warm"], before["preloaded"]) == (True, False)
    config(project, {"a": {}}, preload=["mailbox"])

    def is_preloaded() -> bool:
        project.ok("restart", "a")
        answer = ask(project, "a")
        return bool(answer["warm"] and answer["preloaded"])

    eventually(is_preloaded, "it is forked from the new template")
    assert "the template is being started again" in log_of(project, "a-1") + log_of(project, "a-2")


def test_variables_and_addresses_are_as_if_execd(project: Project) -> None:
    services = {
        way: {"start": way, "environment": {"WHO": "${NAME}-service"}, "dependencies": ["b"]}
        for way in ("auto", "exec")
    }
    project.environ["NAME"] = "some"
    config(project, {"b": {"port": free_port()}} | services)
    project.write(
        "said.py",
        APP.replace('"url": ', '"environment": dict(os.environ), "url": '),
    )
    project.ok("up")
    seen = {way: ask(project, way) for way in ("auto", "exec")}
    for way, answer in seen.items():
        environment = answer["environment"]
        assert environment["WHO"] == "some-service"
        assert environment["MSCTL_SERVICE"] == way
        assert environment["B_URL"] == project.service("b")["url"]
        for name in ("PORT", "MSCTL_SERVICE", "MSCTL_INSTANCE", "MSCTL_DATA_DIR"):
            environment.pop(name)
    assert [seen[way]["warm"] for way in ("auto", "exec")] == [True, False]
    assert seen["auto"]["environment"] == seen["exec"]["environment"]
