import json
import signal
from pathlib import Path

from msctl.render.health import unwell
from tests.cli.documents import instance, service, status, stopped
from tests.cli.fake_daemon import FakeDaemon, respond_json
from tests.cli.terminal import Running, msctl, on_terminal

BROKEN = service("order-service", health="unhealthy", ready=0)
DOCUMENT = status(service("user-service"), BROKEN, stopped("mailer"))


def serve(daemon: FakeDaemon, document: object = DOCUMENT) -> None:
    assert isinstance(document, dict)
    daemon.on("GET", "/status", respond_json(document))


def test_the_table_goes_to_stdout_plain_and_whole(daemon: FakeDaemon) -> None:
    serve(daemon)
    done = msctl(daemon.project, "ps", env={"COLUMNS": "20"})
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1].split() == [
        *["user-service", "running", "(healthy)", "http://localhost:8001", "1/1", "0", "11s"]
    ]
    assert "\x1b" not in done.out


def test_json_is_the_document_and_nothing_else(daemon: FakeDaemon) -> None:
    serve(daemon)
    done = msctl(daemon.project, "status", "--json")
    assert json.loads(done.out) == DOCUMENT
    assert done.err == ""


def test_quiet_is_names_only(daemon: FakeDaemon) -> None:
    serve(daemon)
    assert msctl(daemon.project, "ps", "-q").out == "user-service\norder-service\nmailer\n"


def test_services_are_asked_for_by_name(daemon: FakeDaemon) -> None:
    serve(daemon)
    msctl(daemon.project, "status", "user-service", "mailer")
    assert daemon.requests[-1].path == "/status?service=user-service&service=mailer"


def test_an_unknown_service_is_a_usage_error_that_names_the_nearest(daemon: FakeDaemon) -> None:
    error = {"error": "unknown service usr; did you mean user-service?", "nearest": "user-service"}
    daemon.on("GET", "/status", respond_json(error, status=404))
    done = msctl(daemon.project, "status", "usr")
    assert (done.code, done.out) == (2, "")
    assert "did you mean user-service?" in done.err


def test_without_a_daemon_the_exit_code_is_4_and_the_message_helps(project: Path) -> None:
    done = msctl(project, "status", "--json")
    assert (done.code, done.out) == (4, "")
    assert "msctl up" in done.err


def test_without_a_configuration_it_is_a_usage_error(tmp_path: Path) -> None:
    done = msctl(tmp_path, "status")
    assert done.code == 2
    assert "no configuration here" in done.err


def test_a_fleet_whose_configuration_was_deleted_is_still_found(daemon: FakeDaemon) -> None:
    serve(daemon)
    (daemon.project / "msctl.yaml").unlink()
    assert msctl(daemon.project, "status", "-q").code == 0


def test_the_file_option_works_before_and_after_the_command(daemon: FakeDaemon) -> None:
    serve(daemon)
    file = str(daemon.project / "msctl.yaml")
    elsewhere = daemon.project.parent
    assert msctl(elsewhere, "-f", file, "status", "-q").code == 0
    assert msctl(elsewhere, "status", "-q", "--file", file).code == 0


def test_check_fails_unless_all_that_is_wanted_is_healthy(daemon: FakeDaemon) -> None:
    serve(daemon)
    done = msctl(daemon.project, "status", "--check")
    assert done.code == 3
    assert "order-service (unhealthy)" in done.err
    serve(daemon, status(service("user-service"), stopped("mailer")))
    assert msctl(daemon.project, "status", "--check").code == 0


def test_what_is_wanted() -> None:
    well, done = service("a"), service("b", status="completed", health="unknown")
    assert unwell(status(well, done, stopped("c"))) == []
    assert unwell(status(well, stopped("c")), ["c"]) == ["c (stopped)"]
    assert unwell(status(well, stopped("c", wanted=1))) == ["c (stopped)"]
    assert unwell(status(well, service("d", health="degraded"))) == ["d (degraded)"]
    assert unwell(status(stopped("c"))) == ["nothing is running"]


def test_check_keeps_its_exit_code_when_nobody_reads(daemon: FakeDaemon) -> None:
    serve(daemon)
    with Running(daemon.project, "status", "--check") as command:
        command.close_stdout()
        assert command.code() == 3


def test_a_terminal_gets_colour_unless_it_is_unwelcome(daemon: FakeDaemon) -> None:
    serve(daemon)
    assert "\x1b[32m" in on_terminal(daemon.project, ["status"]).out
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(daemon.project, ["status"], env=env).out


def test_a_narrow_terminal_gets_no_line_that_is_too_long(daemon: FakeDaemon) -> None:
    reason = "probe: connection refused"
    sick = [instance("order-service-1", health="unhealthy", reason=reason)]
    serve(daemon, status(service("order-service", health="unhealthy", instances=sick)))
    done = on_terminal(daemon.project, ["status"], columns=60, env={"NO_COLOR": "1"})
    assert f"order-service: {reason}" in done.out
    assert all(len(line) <= 60 for line in done.out.splitlines())


def test_watching_ends_when_the_fleet_does(daemon: FakeDaemon) -> None:
    serve(daemon)
    with Running(daemon.project, "status", "--watch") as command:
        command.read_until("mailer")
        daemon.end()
        command.read_error_until("stopped")
        assert command.code() == 0


def test_watching_ends_at_once_when_nobody_reads(daemon: FakeDaemon) -> None:
    serve(daemon)
    with Running(daemon.project, "status", "--watch", "--json") as command:
        command.read_until("}\n")
        command.close_stdout()
        assert command.code() == 0


def test_interrupted_watching_gives_the_screen_back(daemon: FakeDaemon) -> None:
    serve(daemon)
    with Running(daemon.project, "status", "--watch") as command:
        command.read_until("mailer")
        command.process.send_signal(signal.SIGINT)
        assert command.code() == 130
