import signal
import threading
from pathlib import Path

from tests.cli.documents import accepted, event, result
from tests.cli.fake_daemon import DEADLINE, Connection, FakeDaemon, Request, operation
from tests.cli.terminal import Running, msctl

RUNNING = {"status": "running", "health": "healthy", "ready": 1}
STOPS = (
    accepted("user-service", **RUNNING),
    event("user-service", "status", "running", "stopping"),
    event("user-service", "status", "stopping", "stopped"),
)
DONE = result(changes=[{"service": "user-service", "action": "stopped", "reason": ""}])


def test_stopping_everything_returns_when_daemon_and_guardian_are_gone(daemon: FakeDaemon) -> None:
    answered = threading.Event()

    def stop(request: Request, connection: Connection) -> None:
        operation(*STOPS, DONE)(request, connection)
        answered.set()

    daemon.on("POST", "/stop", stop)
    with Running(daemon.project, "down", "--timeout", "3") as command:
        assert answered.wait(DEADLINE)
        command.read_error_until("user-service: stopped")
        assert command.process.poll() is None, "the lock is still held"
        daemon.end()
        command.read_error_until("1 stopped in")
        assert command.code() == 0
    assert daemon.request("/stop").json == {"services": [], "timeout": 3.0, "kill": False}


def test_stopping_by_name_does_not_wait_for_the_daemon(daemon: FakeDaemon) -> None:
    warning = {"type": "warning", "message": "user-service is needed by order-service"}
    daemon.on("POST", "/stop", operation(warning, *STOPS, DONE))
    done = msctl(daemon.project, "stop", "user-service", "--kill")
    assert (done.code, done.out) == (0, "")
    assert "warning: user-service is needed by order-service" in done.err
    assert daemon.request("/stop").json["kill"] is True


def test_when_nothing_runs_it_has_succeeded(project: Path) -> None:
    done = msctl(project, "stop")
    assert (done.code, done.out) == (0, "")
    assert "nothing is running" in done.err


def test_an_unknown_name_is_a_usage_error_without_a_daemon_too(project: Path) -> None:
    done = msctl(project, "stop", "usr-service")
    assert done.code == 2
    assert "did you mean user-service?" in done.err


def test_an_interrupt_cancels(daemon: FakeDaemon) -> None:
    cancelled = threading.Event()

    def stop(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        for message in STOPS[:2]:
            connection.line(message)
        assert cancelled.wait(DEADLINE)
        connection.line(result(130, message="interrupted"))
        connection.end_lines()

    def cancel(request: Request, connection: Connection) -> None:
        operation()(request, connection)
        cancelled.set()

    daemon.on("POST", "/stop", stop)
    daemon.on("POST", "/operations/op-1/cancel", cancel)
    with Running(daemon.project, "stop") as command:
        command.read_error_until("user-service: stopping")
        command.process.send_signal(signal.SIGINT)
        assert command.code() == 130


def test_an_interrupt_before_the_operation_is_known_cancels_it_too(daemon: FakeDaemon) -> None:
    asked, interrupted, cancelled = threading.Event(), threading.Event(), threading.Event()

    def stop(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        asked.set()
        assert interrupted.wait(DEADLINE)
        connection.line(STOPS[0])
        assert cancelled.wait(DEADLINE)
        connection.line(result(130, message="interrupted"))
        connection.end_lines()

    def cancel(request: Request, connection: Connection) -> None:
        operation()(request, connection)
        cancelled.set()

    daemon.on("POST", "/stop", stop)
    daemon.on("POST", "/operations/op-1/cancel", cancel)
    with Running(daemon.project, "stop") as command:
        assert asked.wait(DEADLINE)
        command.process.send_signal(signal.SIGINT)
        command.read_error_until("cancelling")
        interrupted.set()
        assert command.code() == 130


def test_a_daemon_that_another_stop_ended_meanwhile_is_stopped(daemon: FakeDaemon) -> None:
    def stop(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line(STOPS[0])
        daemon.end()

    daemon.on("POST", "/stop", stop)
    assert msctl(daemon.project, "stop").code == 0
