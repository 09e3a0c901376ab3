from pathlib import Path

import pytest

from tests.cli.documents import accepted, result, service, status
from tests.cli.fake_daemon import FakeDaemon, operation
from tests.cli.terminal import msctl

DONE = result(
    status=status(service("user-service")),
    changes=[{"service": "user-service", "action": "restarted", "reason": "asked for"}],
)


@pytest.mark.parametrize("command", ["start", "restart"])
def test_the_services_are_shown_at_the_end(daemon: FakeDaemon, command: str) -> None:
    daemon.on("POST", f"/{command}", operation(accepted("user-service"), DONE))
    done = msctl(daemon.project, command, "user-service", env={"MARK": "x"})
    assert done.code == 0
    assert done.out.splitlines()[1].startswith("user-service  running (healthy)")
    body = daemon.request(f"/{command}").json
    assert body["services"] == ["user-service"]
    assert body["environment"]["MARK"] == "x"


def test_restart_can_stop_first(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/restart", operation(DONE))
    msctl(daemon.project, "restart", "--hard")
    assert daemon.request("/restart").json["hard"] is True


def test_a_failed_restart_is_1_with_the_reason(daemon: FakeDaemon) -> None:
    failure = {"service": "a", "instance": "a-1", "reason": "not healthy in 30 s", "logs": []}
    daemon.on("POST", "/restart", operation(result(1, failures=[failure])))
    done = msctl(daemon.project, "restart")
    assert (done.code, done.out) == (1, "")
    assert "error: a: not healthy in 30 s" in done.err


@pytest.mark.parametrize("command", ["start", "restart", "wait"])
def test_without_a_daemon_they_are_4(project: Path, command: str) -> None:
    assert msctl(project, command).code == 4


@pytest.mark.parametrize("code", [0, 1, 124])
def test_wait_ends_with_the_result_of_the_daemon(daemon: FakeDaemon, code: int) -> None:
    daemon.on("POST", "/wait", operation(accepted("a"), result(code, message="why")))
    done = msctl(daemon.project, "wait", "a", "--for", "completed", "--timeout", "2")
    assert (done.code, done.out) == (code, "")
    assert daemon.request("/wait").json == {"services": ["a"], "for": "completed", "timeout": 2.0}
    assert ("why" in done.err) is (code != 0)


def test_what_does_not_run_has_stopped(project: Path) -> None:
    assert msctl(project, "wait", "--for", "stopped").code == 0
    assert msctl(project, "wait", "usr", "--for", "stopped").code == 2


def test_wait_knows_three_states(project: Path) -> None:
    assert msctl(project, "wait", "--for", "ready").code == 2
