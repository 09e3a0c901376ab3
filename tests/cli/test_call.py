import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.cli.documents import service, status
from tests.cli.fake_daemon import (
    DEADLINE,
    Connection,
    FakeDaemon,
    Handler,
    Request,
    respond,
    respond_json,
)
from tests.cli.terminal import MSCTL, Running, environment, msctl, on_terminal

PATH = "/call/user-service/users"
JSON = "content-type: application/json"
BODY = b'{"name":"caf\xc3\xa9","n":1.50}\n\n'


def refuse(code: int, reason: str, **extra: object) -> Handler:
    document = {"status": code, "reason": reason, "detail": "in detail", **extra}
    body = json.dumps(document).encode()
    return respond(code, body, [f"X-Msctl-Reason: {reason}", "X-Msctl-Attempts: 0"])


def call(daemon: FakeDaemon, *arguments: str, **options: bytes) -> tuple[int, str, str]:
    done = msctl(daemon.project, "call", "user-service", *arguments, **options)  # type: ignore[arg-type]
    return done.code, done.out, done.err


def test_the_body_is_printed_byte_for_byte_in_a_pipe(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond(200, BODY, [JSON]))
    assert call(daemon, "GET", "/users") == (0, BODY.decode(), "")


def test_binary_bodies_are_not_touched(daemon: FakeDaemon) -> None:
    body = bytes(range(256)) * 400
    daemon.on("GET", PATH, respond(200, body))
    done = subprocess.run(
        [*MSCTL, "call", "user-service", "GET", "/users"],
        cwd=daemon.project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == body


def test_a_terminal_gets_json_set_out(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond(200, BODY, [JSON]))
    arguments = ["call", "user-service", "GET", "/users"]
    plain = on_terminal(daemon.project, arguments, env={"NO_COLOR": "1"})
    assert plain.out == '{\n  "name": "café",\n  "n": 1.5\n}\n'
    assert "\x1b[" in on_terminal(daemon.project, arguments).out


def test_a_terminal_is_spared_binary(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond(200, b"\x00\x01", ["content-type: image/png"]))
    done = on_terminal(daemon.project, ["call", "user-service", "GET", "/users"])
    assert "\x00" not in done.out
    assert "-o FILE" in done.out


def test_text_on_a_terminal_ends_with_a_line_end(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond(200, b"hello", ["content-type: text/plain"]))
    assert on_terminal(daemon.project, ["call", "user-service", "GET", "/users"]).out == "hello\n"


def test_method_headers_query_and_routing_are_sent(daemon: FakeDaemon) -> None:
    daemon.on("DELETE", PATH, respond())
    options = ["-H", "X-Key: a b", "-q", "a=1", "--instance", "user-service-2", "--timeout", "1.5"]
    assert call(daemon, "delete", "/users", *options)[0] == 0
    request = daemon.requests[-1]
    assert (request.method, request.path) == ("DELETE", f"{PATH}?a=1")
    assert request.headers["x-key"] == "a b"
    assert request.headers["x-msctl-instance"] == "user-service-2"
    assert request.headers["x-msctl-deadline-ms"] == "1500"
    assert "content-length" not in request.headers


def test_without_timeout_the_service_decides(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond())
    call(daemon, "GET", "/users")
    assert "x-msctl-deadline-ms" not in daemon.requests[-1].headers


def test_a_body_from_the_command_line(daemon: FakeDaemon) -> None:
    daemon.on("POST", PATH, respond(201))
    assert call(daemon, "POST", "/users", '{"a": 1}') == (0, "", "")
    request = daemon.requests[-1]
    assert request.body == b'{"a": 1}'
    assert request.headers["content-type"] == "application/json"


def test_a_body_that_is_no_json_is_sent_with_a_warning(daemon: FakeDaemon) -> None:
    daemon.on("POST", PATH, respond(201))
    code, _, err = call(daemon, "POST", "/users", "{oops")
    assert (code, daemon.requests[-1].body) == (0, b"{oops")
    assert err.startswith("warning: ")


def test_a_body_from_a_file(daemon: FakeDaemon) -> None:
    content = os.urandom(200_000)
    (daemon.project / "data.bin").write_bytes(content)
    daemon.on("PUT", PATH, respond())
    assert call(daemon, "PUT", "/users", "@data.bin")[0] == 0
    request = daemon.requests[-1]
    assert request.body == content
    assert request.headers["content-length"] == "200000"


def test_a_file_that_is_missing_sends_nothing(daemon: FakeDaemon) -> None:
    code, out, err = call(daemon, "POST", "/users", "@none.json")
    assert (code, out) == (2, "")
    assert "none.json" in err
    assert daemon.requests == []


@pytest.mark.parametrize("arguments", [["-"], []], ids=["dash", "piped"])
def test_a_body_from_a_pipe(daemon: FakeDaemon, arguments: list[str]) -> None:
    daemon.on("POST", PATH, respond(201))
    assert call(daemon, "POST", "/users", *arguments, stdin=b'{"a": 2}')[0] == 0
    assert daemon.requests[-1].body == b'{"a": 2}'


def test_a_long_body_from_a_pipe_is_streamed(daemon: FakeDaemon) -> None:
    daemon.on("POST", PATH, respond(201))
    content = b"x" * 1_000_000
    assert call(daemon, "POST", "/users", stdin=content)[0] == 0
    assert daemon.requests[-1].body == content
    assert daemon.requests[-1].headers["transfer-encoding"] == "chunked"


def test_a_regular_file_as_stdin_is_the_body(daemon: FakeDaemon) -> None:
    daemon.on("POST", PATH, respond(201))
    (daemon.project / "body").write_bytes(b'{"a": 3}')
    with (daemon.project / "body").open("rb") as stdin:
        subprocess.run(
            [*MSCTL, "call", "user-service", "POST", "/users"],
            cwd=daemon.project,
            env=environment(),
            stdin=stdin,
            check=True,
            timeout=30,
        )
    assert daemon.requests[-1].body == b'{"a": 3}'


def test_piped_stdin_is_no_body_of_get_and_an_empty_pipe_is_none(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond())
    daemon.on("POST", PATH, respond())
    call(daemon, "GET", "/users", stdin=b"ignored")
    call(daemon, "POST", "/users", stdin=b"")
    for request in daemon.requests:
        assert request.body == b""
        assert "content-type" not in request.headers


def test_a_piece_of_a_stream_is_printed_as_soon_as_it_comes(daemon: FakeDaemon) -> None:
    seen = threading.Event()

    def events(_request: Request, connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        assert seen.wait(DEADLINE)
        connection.send(b"data: 2\n\n")

    daemon.on("GET", PATH, events)
    with Running(daemon.project, "call", "user-service", "GET", "/users") as command:
        command.read_until("data: 1\n\n")
        seen.set()
        command.read_until("data: 2\n\n")
        assert command.code() == 0


def test_a_stream_that_nobody_reads_ends_at_once(daemon: FakeDaemon) -> None:
    dropped = threading.Event()

    def events(_request: Request, connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
        connection.wait_until_dropped()
        dropped.set()

    daemon.on("GET", PATH, events)
    with Running(daemon.project, "call", "user-service", "GET", "/users") as command:
        command.read_until("data: 1\n\n")
        command.close_stdout()
        assert command.code() == 0
        assert command.process.stderr is not None
        assert command.process.stderr.read() == b""
    assert dropped.wait(DEADLINE)


def test_an_interrupt_drops_the_call(daemon: FakeDaemon) -> None:
    arrived = threading.Event()

    def hang(_request: Request, connection: Connection) -> None:
        arrived.set()
        connection.wait_until_dropped()

    daemon.on("GET", PATH, hang)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        arrived.clear()
        with Running(daemon.project, "call", "user-service", "GET", "/users") as command:
            assert arrived.wait(DEADLINE)
            command.process.send_signal(number)
            assert command.code() == code


def test_include_prints_status_line_and_headers(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, respond(404, b"gone", ["x-a: 1"], reason="Not Found"))
    code, out, err = call(daemon, "GET", "/users", "-i")
    assert (code, out) == (22, "HTTP/1.1 404 Not Found\r\nx-a: 1\r\ncontent-length: 4\r\n\r\ngone")
    assert "404" in err


def test_head_has_no_body(daemon: FakeDaemon) -> None:
    daemon.on("HEAD", PATH, respond(200, b"", ["x-length: 10"]))
    assert call(daemon, "HEAD", "/users", "-i")[1].endswith("\r\n\r\n")


def test_verbose_tells_the_routing_on_stderr(daemon: FakeDaemon) -> None:
    headers = ["X-Msctl-Instance: user-service-2", "X-Msctl-Attempts: 2"]
    daemon.on("GET", PATH, respond(200, b"x", headers))
    code, out, err = call(daemon, "GET", "/users", "-v")
    assert (code, out) == (0, "x")
    assert err.startswith("200 from user-service-2, 2 attempts, ")


@pytest.mark.parametrize("no_fail", [True, False])
def test_an_error_of_the_service_is_printed_and_22(daemon: FakeDaemon, *, no_fail: bool) -> None:
    headers = ["X-Msctl-Instance: user-service-1"]
    daemon.on("GET", PATH, respond(503, b"busy", headers, reason="Service Unavailable"))
    options = ["--no-fail"] if no_fail else []
    code, out, err = call(daemon, "GET", "/users", *options)
    assert (code, out) == (0 if no_fail else 22, "busy")
    assert ("answered 503 Service Unavailable (user-service-1)" in err) is not no_fail


@pytest.mark.parametrize(
    ("status_code", "reason", "code"),
    [
        (503, "no_instances", 7),
        (502, "connect_failed", 7),
        (504, "timeout", 28),
        (503, "breaker_open", 75),
        (503, "overloaded", 75),
    ],
)
def test_a_refusal_of_the_router_is_a_message_and_no_data(
    daemon: FakeDaemon, status_code: int, reason: str, code: int
) -> None:
    daemon.on("GET", PATH, refuse(status_code, reason, retry_after=3))
    found, out, err = call(daemon, "GET", "/users", "--no-fail")
    assert (found, out) == (code, "")
    assert f"user-service: {reason}: in detail; try again in 3 s" in err


def test_a_broken_answer_of_an_instance_is_22_with_its_reason(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, refuse(502, "bad_response"))
    code, out, err = call(daemon, "GET", "/users")
    assert code == 22
    assert "bad_response" in out
    assert "bad_response" in err


def test_an_unknown_service_names_the_nearest(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/call/usr-service/", refuse(404, "unknown_service"))
    daemon.on("GET", "/status", respond_json(status(service("user-service"))))
    done = msctl(daemon.project, "call", "usr-service", "GET", "/")
    assert (done.code, done.out) == (2, "")
    assert "unknown service usr-service; did you mean user-service?" in done.err


def test_no_answer_within_the_time_limit_is_28(daemon: FakeDaemon) -> None:
    daemon.on("GET", PATH, lambda _request, connection: connection.wait_until_dropped())
    began = time.monotonic()
    code, out, err = call(daemon, "GET", "/users", "--timeout", "0.1")
    assert (code, out) == (28, "")
    assert "no answer within 0.1 s" in err
    assert time.monotonic() - began < DEADLINE / 2


def test_a_response_that_breaks_off_is_an_error(daemon: FakeDaemon) -> None:
    broken = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart"
    daemon.on("GET", PATH, lambda _request, connection: connection.send(broken))
    code, out, err = call(daemon, "GET", "/users")
    assert (code, out) == (1, "part")
    assert err.startswith("error: ")


def test_no_daemon_is_4(project: Path) -> None:
    assert msctl(project, "call", "user-service", "GET", "/").code == 4


def test_output_goes_to_a_file(daemon: FakeDaemon) -> None:
    target = daemon.project / "out.json"
    target.write_bytes(b"a longer old content" * 10)
    daemon.on("GET", PATH, respond(200, BODY, [JSON]))
    assert call(daemon, "GET", "/users", "-o", "out.json") == (0, "", "")
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("target", ["none/out", "."])
def test_an_output_that_cannot_be_written_costs_no_request(daemon: FakeDaemon, target: str) -> None:
    code, out, err = call(daemon, "POST", "/users", "{}", "-o", target)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert daemon.requests == []


@pytest.mark.parametrize("arguments", [["-o", "/dev/full"], []], ids=["file", "stdout"])
def test_a_full_disk_is_a_message(daemon: FakeDaemon, arguments: list[str]) -> None:
    daemon.on("GET", PATH, respond(200, b"x" * 100_000))
    with open("/dev/full", "wb") as full:  # noqa: PTH123  a device
        done = subprocess.run(
            [*MSCTL, "call", "user-service", "GET", "/users", *arguments],
            cwd=daemon.project,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=30,
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_refused_call_leaves_no_new_file_and_keeps_an_old_one(daemon: FakeDaemon) -> None:
    (daemon.project / "old").write_bytes(b"old")
    daemon.on("GET", PATH, refuse(503, "no_instances"))
    for name in ("old", "new"):
        assert call(daemon, "GET", "/users", "-o", name)[0] == 7
    assert (daemon.project / "old").read_bytes() == b"old"
    assert not (daemon.project / "new").exists()


def test_each_line_of_stdin_is_a_request(daemon: FakeDaemon) -> None:
    daemon.on("POST", PATH, respond(200, BODY, [JSON, "connection: close"]))
    found = call(daemon, "POST", "/users", "--each", "-P", "1", stdin=b'{"a":1}\n{"a":2}\n')
    assert found == (0, '{"name":"café","n":1.5}\n' * 2, "")
    assert [request.body for request in daemon.requests] == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize("options", [["-o", "x"], ["-i"], ["-v"], ["-P", "0"]])
def test_each_does_not_go_with_what_is_about_one_answer(
    daemon: FakeDaemon, options: list[str]
) -> None:
    code, out, _ = call(daemon, "POST", "/users", "--each", *options, stdin=b"{}\n")
    assert (code, out, daemon.requests) == (2, "", [])
