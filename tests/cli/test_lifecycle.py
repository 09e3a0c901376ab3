import threading
from pathlib import Path

import pytest

from tests.cli.documents import accepted, result, service, status
from tests.cli.fake_daemon import DEADLINE, Connection, FakeDaemon, Request, operation
from tests.cli.terminal import Running, msctl

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


def test_scale_asks_for_numbers_and_shows_the_services(daemon: FakeDaemon) -> None:
    scaled = [{"service": "user-service", "action": "scaled", "reason": ""}]
    document = status(service("user-service", replicas=3, ready=3))
    done = result(status=document, changes=scaled)
    daemon.on("POST", "/scale", operation(accepted("user-service"), done))
    found = msctl(
        daemon.project,
        "scale",
        "user-service=3",
        "order-service=0",
        "--timeout",
        "7",
        env={"MARK": "x"},
    )
    assert found.code == 0
    assert "3/3" in found.out
    assert "1 scaled in" in found.err
    body = daemon.request("/scale").json
    assert body.pop("environment")["MARK"] == "x"
    assert body == {"replicas": {"user-service": 3, "order-service": 0}, "timeout": 7.0}


@pytest.mark.parametrize("given", ["user-service", "user-service=", "user-service=-1", "=2", "a=b"])
def test_a_scale_that_is_none_is_wrong_use_and_asks_nothing(daemon: FakeDaemon, given: str) -> None:
    done = msctl(daemon.project, "scale", given)
    assert (done.code, done.out) == (2, "")
    assert "give it as NAME=N" in done.err
    assert daemon.requests == []


def test_restart_replaces_several_at_once_if_told_so(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/restart", operation(DONE))
    msctl(daemon.project, "restart", "--parallel", "3")
    msctl(daemon.project, "restart")
    assert [request.json["parallel"] for request in daemon.requests] == [3, 1]


@pytest.mark.parametrize(
    ("report", "line"),
    [
        ({"served": 9, "failed": 0, "longest_stall": 0.05}, "9 requests served, 0 failed, each"),
        ({"served": 1, "failed": 2, "longest_stall": None}, "1 request served, 2 failed, the slow"),
        ({"served": 0, "failed": 0, "longest_stall": 0}, ""),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_restart_tells_what_became_of_the_requests(
    daemon: FakeDaemon, report: object, line: str, code: int
) -> None:
    daemon.on("POST", "/restart", operation(result(code, requests=report)))
    done = msctl(daemon.project, "restart")
    assert done.code == code
    assert (f"meanwhile {line}" in done.err) if line else "meanwhile" not in done.err


def test_who_reads_no_more_of_the_table_ends_it_quietly(daemon: FakeDaemon) -> None:
    closed = threading.Event()

    def start(request: Request, connection: Connection) -> None:
        assert closed.wait(DEADLINE)
        operation(accepted("user-service"), DONE)(request, connection)

    daemon.on("POST", "/start", start)
    with Running(daemon.project, "start") as command:
        command.close_stdout()
        closed.set()
        assert command.code() == 0
        assert command.process.stderr is not None
        assert b"rror" not in command.process.stderr.read()
