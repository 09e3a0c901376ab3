"""Changing a service under load: nobody outside notices."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from msctl.client.control import ControlClient
from tests.fleet.apps import MANY
from tests.fleet.pressure import Pressure, pressure
from tests.fleet.project import Project, Result, free_port

BROKEN = "raise RuntimeError('this version is broken')\n"


@pytest.fixture
def port(project: Project) -> int:
    """The front door of a service `a` beside a service `b`; nothing runs yet."""
    port = free_port()
    project.write("many.py", MANY)
    project.config({"a": {"port": port, "app": "many:app"}, "b": {"port": free_port()}})
    return port


def under_load(project: Project, port: int, *arguments: str) -> tuple[Result, Pressure]:
    """Run a command while the front door is under load."""

    async def main() -> tuple[Result, Pressure]:
        async with pressure(port) as seen:
            result = await asyncio.to_thread(project.run, *arguments)
        return result, seen

    result, seen = asyncio.run(main())
    print(arguments, seen)  # noqa: T201  the figures, for whoever runs this with -s
    return result, seen


def answer_of(project: Project, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The last message of an operation on the control socket."""
    client = ControlClient(project.directory / ".msctl/control.sock")
    answer: dict[str, Any] = list(client.stream("POST", path, body))[-1]
    return answer


def pids(project: Project, name: str = "a") -> set[int]:
    return {instance["pid"] for instance in project.service(name)["instances"]}


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_rolling_restart_fails_no_request(project: Project, port: int, replicas: int) -> None:
    project.ok("up", "--scale", f"a={replicas}")
    before, others = pids(project), pids(project, "b")

    result, seen = under_load(project, port, "restart", "a")

    assert result.code == 0, result.err
    seen.assert_unnoticed()
    assert len(pids(project)) == replicas
    assert not before & pids(project)
    assert pids(project, "b") == others
    assert len(seen.instances) == replicas + 1, "numbers are used again"


def test_a_restart_into_a_broken_version_fails_no_request(project: Project, port: int) -> None:
    project.ok("up")
    before = pids(project)
    project.write("many.py", BROKEN)

    result, seen = under_load(project, port, "restart", "a")

    assert result.code == 1
    assert "this version is broken" in result.err
    assert "a stays as it was" in result.err
    seen.assert_unnoticed()
    assert pids(project) == before
    assert project.service("a")["health"] == "healthy"


def test_an_edit_is_taken_up_unnoticed_and_nothing_else_is_touched(
    project: Project, port: int
) -> None:
    project.ok("up")
    before, others = pids(project), pids(project, "b")
    services: dict[str, dict[str, Any]] = {
        "a": {"port": port, "app": "many:app"}, "b": {"port": project.service("b")["port"]}}  # fmt: skip

    project.config({**services, "c": {"port": free_port()}})
    project.ok("up")
    assert (pids(project), pids(project, "b")) == (before, others)

    services["a"]["environment"] = {"GREETING": "hello"}
    project.config(services)
    result, seen = under_load(project, port, "up")

    assert result.code == 0, result.err
    assert "a: restarted, config changed: environment.GREETING" in result.err
    assert "c: stopped, no longer in the config" in result.err
    seen.assert_unnoticed()
    assert not before & pids(project)
    assert pids(project, "b") == others


def test_a_broken_edit_is_not_taken_for_done(project: Project, port: int) -> None:
    project.ok("up")
    before = pids(project)
    project.write("broken.py", BROKEN)
    project.config({"a": {"port": port, "app": "broken:app"}})
    for _ in range(2):
        result = answer_of(project, "/up", {"environment": project.environment()})
        assert result["exit_code"] == 1
        assert result["changes"][0]["reason"] == "config changed: app"
        assert pids(project) == before


def test_a_restart_tells_what_became_of_the_requests(project: Project, port: int) -> None:
    project.ok("up")

    async def main() -> tuple[dict[str, Any], Pressure]:
        async with pressure(port) as seen:
            body = {"services": ["a"], "environment": project.environment()}
            return await asyncio.to_thread(answer_of, project, "/restart", body), seen

    result, seen = asyncio.run(main())
    assert result["exit_code"] == 0
    requests = result["requests"]
    assert requests["failed"] == 0
    assert 10 < requests["served"] < len(seen.answers)
    assert 0 < requests["longest_stall"] < 2


def test_a_worker_with_one_replica_is_never_there_twice(project: Project) -> None:
    project.write(
        "work.sh",
        """
        mkdir "$MSCTL_DATA_DIR/running" || { echo already there; exit 3; }
        trap 'rmdir "$MSCTL_DATA_DIR/running"; exit 0' TERM
        while :; do sleep 0.05; done
        """,
    )
    project.config({"w": {"service_type": "worker", "command": "sh work.sh"}})
    project.ok("up")
    running = project.directory / ".msctl/data/w/running"
    body = {"services": ["w"], "environment": project.environment()}
    result = answer_of(project, "/restart", body)
    assert result["changes"][0]["reason"].endswith("stopped first: it is a worker with one replica")
    assert "already there" not in project.ok("logs", "w").out
    assert Path(running).is_dir()
