import json
import signal
import threading
from pathlib import Path

import pytest

from tests.cli.documents import accepted, event, result, service, status
from tests.cli.fake_daemon import (
    DEADLINE,
    Connection,
    FakeDaemon,
    Request,
    operation,
    respond,
    respond_json,
)
from tests.cli.terminal import Running, msctl, on_terminal

STARTS = (
    accepted("user-service"),
    event("user-service", "status", "stopped", "starting"),
    event("user-service", "status", "starting", "running"),
    event("user-service", "health", "unknown", "healthy"),
)
DONE = result(
    changes=[{"service": "user-service", "action": "started", "reason": ""}],
    status=status(service("user-service")),
)
FAILED = result(
    1,
    message="failed: order-service",
    changes=[{"service": "order-service", "action": "started", "reason": ""}],
    failures=[
        {
            "service": "order-service",
            "instance": "order-service-1",
            "reason": "exited with code 1 before it was healthy",
            "logs": ["Traceback (most recent call last):", "KeyError: 'DB'"],
        }
    ],
)


class Cancellable:
    """An operation that lasts until it is cancelled."""

    def __init__(self, daemon: FakeDaemon, path: str = "/up") -> None:
        self.cancelled = threading.Event()
        self.dropped = threading.Event()
        daemon.on("POST", path, self._operate)
        daemon.on("POST", "/operations/op-1/cancel", self._cancel)

    def _operate(self, _request: Request, connection: Connection) -> None:
        connection.begin_lines()
        for message in STARTS[:2]:
            connection.line(message)
        assert self.cancelled.wait(DEADLINE)
        connection.line(result(130, message="interrupted"))
        connection.end_lines()

    def _cancel(self, request: Request, connection: Connection) -> None:
        respond(204)(request, connection)
        self.cancelled.set()


def test_the_table_is_data_and_all_else_is_on_stderr(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    done = msctl(daemon.project, "up")
    assert done.code == 0
    assert done.out.splitlines()[0].startswith("NAME")
    assert len(done.out.splitlines()) == 2
    lines = done.err.splitlines()
    assert lines[0] == "user-service: starting"
    assert lines[1].startswith("user-service: healthy after ")
    assert lines[2].startswith("1 started in ")
    assert "msctl logs" in done.err
    assert "msctl stop" in done.err
    assert "\x1b" not in done.out + done.err


def test_the_daemon_is_told_everything_it_needs(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    options = ["--no-deps", "--no-wait", "--timeout", "5", "--scale", "user-service=3"]
    more = ["--profile", "a", "--profile", "b", "--keep", "-d", "-w"]
    msctl(daemon.project, "up", "user-service", *options, *more, env={"MARK": "x"})
    body = daemon.request("/up").json
    assert body.pop("environment")["MARK"] == "x"
    assert body == {
        "services": ["user-service"],
        "no_deps": True,
        "wait": False,
        "timeout": 5.0,
        "scale": {"user-service": 3},
        "profiles": ["a", "b"],
        "keep": True,
        "watch": True,
        "files": [str(daemon.project / "msctl.yaml")],
    }


def test_a_failure_names_service_reason_last_lines_and_next_step(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", operation(*STARTS, FAILED))
    done = msctl(daemon.project, "up")
    daemon.end()
    assert (done.code, done.out) == (1, "")
    assert "error: order-service: exited with code 1 before it was healthy" in done.err
    assert "order-service-1 | KeyError: 'DB'" in done.err
    assert "msctl logs order-service" in done.err
    assert "--keep" in done.err


def test_problems_are_printed_one_a_line_as_seen_from_here(daemon: FakeDaemon) -> None:
    file = str(daemon.project / "msctl.yaml")
    problems = [{"file": file, "line": 3, "where": "services.a.prt", "message": "unknown key"}]
    daemon.on("POST", "/up", operation(result(2, problems=problems)))
    done = msctl(daemon.project, "up")
    assert done.code == 2
    assert "msctl.yaml:3: services.a.prt: unknown key\n" in done.err


def test_a_warning_goes_to_stderr(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", operation({"type": "warning", "message": "careful"}, DONE))
    assert "warning: careful\n" in msctl(daemon.project, "up").err


def test_the_time_limit_has_its_exit_code(daemon: FakeDaemon) -> None:
    message = "not healthy within 5 s: user-service"
    daemon.on("POST", "/up", operation(*STARTS, result(124, message=message)))
    done = msctl(daemon.project, "up", "--timeout", "5")
    daemon.end()
    assert done.code == 124
    assert message in done.err


def test_an_unknown_service_is_a_usage_error(daemon: FakeDaemon) -> None:
    message = "unknown service usr; did you mean user-service?"
    daemon.on("POST", "/up", operation(result(2, message=message)))
    done = msctl(daemon.project, "up", "usr")
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_an_interrupt_cancels_and_waits_for_the_result(
    daemon: FakeDaemon, number: signal.Signals, code: int
) -> None:
    up = Cancellable(daemon)
    with Running(daemon.project, "up") as command:
        command.read_error_until("user-service: starting")
        command.process.send_signal(number)
        command.read_error_until("interrupted")
        assert up.cancelled.is_set()
        daemon.end()
        assert command.code() == code


def test_a_second_interrupt_leaves_at_once(daemon: FakeDaemon) -> None:
    up = Cancellable(daemon)
    daemon.on("POST", "/operations/op-1/cancel", respond(204))  # it takes its time
    with Running(daemon.project, "up") as command:
        command.read_error_until("user-service: starting")
        command.process.send_signal(signal.SIGINT)
        command.read_error_until("cancelling")
        command.process.send_signal(signal.SIGINT)
        assert command.code() == 130
    up.cancelled.set()


def test_a_daemon_that_dies_in_the_middle_is_an_error(daemon: FakeDaemon) -> None:
    def die(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line(STARTS[0])

    daemon.on("POST", "/up", die)
    done = msctl(daemon.project, "up")
    assert done.code == 1
    assert "the daemon went away" in done.err
    assert "Traceback" not in done.err


def test_a_closed_pipe_on_stderr_does_not_end_it(daemon: FakeDaemon) -> None:
    go_on = threading.Event()

    def handle(request: Request, connection: Connection) -> None:
        assert go_on.wait(DEADLINE)
        operation(*STARTS, DONE)(request, connection)

    daemon.on("POST", "/up", handle)
    with Running(daemon.project, "up") as command:
        assert command.process.stderr is not None
        command.process.stderr.close()
        command.process.stderr = None
        go_on.set()
        command.read_until("user-service  running (healthy)")
        assert command.code() == 0


def test_a_terminal_shows_the_picture_and_takes_it_away(daemon: FakeDaemon) -> None:
    drawn = threading.Event()

    def handle(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line(STARTS[0])
        drawn.wait(0.5)  # a few pictures
        for message in (*STARTS[1:], DONE):
            connection.line(message)
        connection.end_lines()

    daemon.on("POST", "/up", handle)
    done = on_terminal(daemon.project, ["up"])
    assert "0 of 1 healthy" in done.out
    assert done.out.count("\x1b[?25l") > 1
    after = done.out.rpartition("\x1b[?25h")[2]
    assert after.startswith("\x1b[1mNAME")
    assert "\x1b[?25l" not in after


def test_no_colour_means_no_picture_either(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    done = on_terminal(daemon.project, ["up"], env={"NO_COLOR": "1"})
    assert "\x1b" not in done.out
    assert "user-service: starting" in done.out


def test_a_dry_run_prints_the_plan_in_start_order_and_starts_nothing(project: Path) -> None:
    done = msctl(project, "up", "--dry-run", "--scale", "order-service=2")
    assert done.code == 0
    rows = [line.split() for line in done.out.splitlines()[1:]]
    assert rows == [
        ["1", "user-service", "1", "http://localhost:8001", "-"],
        ["2", "order-service", "2", "http://localhost:8002", "user-service"],
    ]
    assert not (project / ".msctl").exists()


def test_a_dry_run_knows_names_and_dependencies(project: Path) -> None:
    assert len(msctl(project, "up", "--dry-run", "user-service").out.splitlines()) == 2
    assert len(msctl(project, "up", "--dry-run", "order-service").out.splitlines()) == 3
    alone = msctl(project, "up", "--dry-run", "--no-deps", "order-service")
    assert len(alone.out.splitlines()) == 2
    unknown = msctl(project, "up", "--dry-run", "usr")
    assert unknown.code == 2
    assert "did you mean user-service?" in unknown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--detach", "--foreground"],
        ["--scale", "a"],
        ["--scale", "a=-1"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage_is_exit_2_before_anything_happens(project: Path, arguments: list[str]) -> None:
    done = msctl(project, "up", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert not (project / ".msctl").exists()


def test_in_the_foreground_logs_are_shown_and_ctrl_c_stops_everything(daemon: FakeDaemon) -> None:
    attached = threading.Event()

    def attach(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line({"type": "attached"})
        connection.wait_until_dropped()
        attached.set()
        daemon.end()

    daemon.on("GET", "/attach", attach)
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    daemon.on("POST", "/stop", operation(accepted("user-service"), result()))
    log = daemon.state.logs / "user-service-1.log"
    with Running(daemon.project, "up", "--foreground") as command:
        command.read_error_until("all up")
        with log.open("a") as file:
            file.write("2026-01-01T00:00:00.000000Z stdout hello there\n")
        command.read_until("user-service-1 | hello there")
        command.process.send_signal(signal.SIGINT)
        assert command.code() == 130
    assert attached.wait(DEADLINE)
    assert daemon.request("/stop").json == {"services": []}


def test_in_the_foreground_a_second_ctrl_c_kills(daemon: FakeDaemon) -> None:
    killed = threading.Event()

    def stop(request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line(accepted("user-service"))
        if json.loads(request.body).get("kill"):
            killed.set()
        assert killed.wait(DEADLINE)
        connection.line(result())
        connection.end_lines()

    def attach(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.wait_until_dropped()
        daemon.end()

    daemon.on("GET", "/attach", attach)
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    daemon.on("POST", "/stop", stop)
    with Running(daemon.project, "up", "--foreground") as command:
        command.read_error_until("all up")
        command.process.send_signal(signal.SIGINT)
        command.read_error_until("again to kill")
        command.process.send_signal(signal.SIGINT)
        assert command.code() == 130
    assert killed.is_set()


def test_in_the_foreground_it_ends_when_the_fleet_is_stopped_elsewhere(daemon: FakeDaemon) -> None:
    up = threading.Event()

    def attach(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        assert up.wait(DEADLINE)
        daemon.end()
        connection.end_lines()

    daemon.on("GET", "/attach", attach)
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    with Running(daemon.project, "up", "--foreground") as command:
        command.read_error_until("all up")
        up.set()
        assert command.code() == 0


def test_a_daemon_that_refuses_is_an_error_without_a_trace(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", respond_json({"error": "busy"}, status=500))
    done = msctl(daemon.project, "up")
    assert (done.code, done.err) == (1, "error: busy\n")
