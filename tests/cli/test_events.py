import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.documents import service, status
from tests.cli.fake_daemon import Connection, FakeDaemon, Request, operation, respond_json
from tests.cli.terminal import Running, msctl, on_terminal

Json = dict[str, Any]


def event(service: str, instance: str | None, before: str, after: str, **changes: Any) -> Json:
    return {
        "time": "2026-01-01T00:00:01.234567Z",
        "service": service,
        "instance": instance,
        "kind": "breaker",
        "from": before,
        "to": after,
        "reason": "",
        **changes,
    }


OPENED = event("user-service", "user-service-1", "closed", "open", reason="5 failures in a row")
TRIPPED = event("user-service", None, "closed", "open")
STARTED = event("order-service", "order-service-1", "stopped", "starting", kind="status")
HEALTHY = event("order-service", "order-service-1", "unknown", "healthy", kind="health")


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    services = [service("user-service"), service("order-service")]
    daemon.on("GET", "/status", respond_json(status(*services)))
    daemon.on("GET", "/events", operation(OPENED, TRIPPED, STARTED))
    return daemon


def then(*first: Json, end: Callable[[Connection], None]) -> Callable[[Request, Connection], None]:
    """Begin a stream with these events; what comes then is `end`'s."""

    def handle(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        for message in first:
            connection.line(message)
        end(connection)

    return handle


def test_a_line_tells_when_who_what_and_why(daemon: FakeDaemon) -> None:
    done = msctl(daemon.project, "events")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "2026-01-01T00:00:01.234Z  user-service-1   breaker  closed → open (5 failures in a row)",
        "2026-01-01T00:00:01.234Z  user-service     breaker  closed → open",
        "2026-01-01T00:00:01.234Z  order-service-1  status   stopped → starting",
    ]
    assert daemon.requests[-1].path == "/events"


def test_json_is_a_line_for_each_with_exactly_the_keys_of_the_contract(daemon: FakeDaemon) -> None:
    lines = msctl(daemon.project, "events", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == [OPENED, TRIPPED, STARTED]
    assert list(json.loads(lines[0])) == [
        "time", "service", "instance", "kind", "from", "to", "reason"
    ]  # fmt: skip


def test_services_are_chosen_by_name(daemon: FakeDaemon) -> None:
    lines = msctl(daemon.project, "events", "user-service", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == [OPENED, TRIPPED]
    both = msctl(daemon.project, "events", "user-service", "order-service")
    assert len(both.out.splitlines()) == 3


def test_an_unknown_service_is_2_with_the_nearest(daemon: FakeDaemon) -> None:
    refusal = {"error": "unknown service usr-service; did you mean user-service?"}
    daemon.on("GET", "/status", respond_json(refusal, status=404))
    done = msctl(daemon.project, "events", "usr-service")
    assert (done.code, done.out) == (2, "")
    assert "did you mean user-service?" in done.err


def test_nothing_yet_is_said_on_stderr(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/events", operation())
    done = msctl(daemon.project, "events")
    assert (done.code, done.out, done.err) == (0, "", "no events\n")


@pytest.mark.parametrize("flags", [[], ["-f"], ["user-service"]])
def test_without_a_daemon_it_is_4(project: Path, flags: list[str]) -> None:
    assert msctl(project, "events", *flags).code == 4


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_lines_are_coloured_on_a_terminal(
    daemon: FakeDaemon, env: dict[str, str], *, coloured: bool
) -> None:
    done = on_terminal(daemon.project, ["events"], env=env)
    assert ("\x1b[" in done.out) is coloured


def test_a_reason_stays_on_its_line(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/events", operation(OPENED | {"reason": "exited\nwith \x1b[31mred"}))
    (line,) = msctl(daemon.project, "events").out.splitlines()
    assert line.endswith("(exited with  [31mred)")


# Following


def test_a_follower_goes_on_until_the_fleet_ends(daemon: FakeDaemon) -> None:
    def end(connection: Connection) -> None:
        command.read_until("starting\n")
        connection.line(HEALTHY)
        command.read_until("healthy\n")
        connection.end_lines()

    daemon.on("GET", "/events", then(STARTED, end=end))
    with Running(daemon.project, "events", "-f") as command:
        assert command.code() == 0
        assert command.process.stderr is not None
        assert command.process.stderr.read() == b""
    assert daemon.requests[-1].path == "/events?follow=1"


def test_a_follower_chooses_too(daemon: FakeDaemon) -> None:
    def end(connection: Connection) -> None:
        connection.line(OPENED)
        connection.line(HEALTHY)
        connection.end_lines()

    daemon.on("GET", "/events", then(STARTED, end=end))
    done = msctl(daemon.project, "events", "-f", "user-service", "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == [OPENED]


def test_a_follower_ends_at_once_when_nobody_reads(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/events", then(STARTED, end=Connection.wait_until_dropped))
    with Running(daemon.project, "events", "-f") as command:
        command.read_until("starting\n")
        command.close_stdout()
        assert command.code() == 0
        assert command.process.stderr is not None
        assert command.process.stderr.read() == b""


def test_ctrl_c_ends_a_follower_with_130(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/events", then(STARTED, end=Connection.wait_until_dropped))
    with Running(daemon.project, "events", "--follow") as command:
        command.read_until("starting\n")
        command.process.send_signal(2)
        assert command.code() == 130


def test_a_daemon_that_dies_ends_a_follower_with_an_error(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/events", then(STARTED, end=lambda _: None))
    done = msctl(daemon.project, "events", "-f")
    assert (done.code, len(done.out.splitlines())) == (1, 1)
    assert "the daemon went away" in done.err
