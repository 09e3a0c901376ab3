import os
import threading
from pathlib import Path

import pytest

from msctl.client import ControlClient, StreamedBody
from msctl.errors import MsctlError, NoDaemon, UsageError
from tests.cli.fake_daemon import (
    DEADLINE,
    Connection,
    FakeDaemon,
    Request,
    operation,
    respond,
    respond_json,
)


def client_of(daemon: FakeDaemon) -> ControlClient:
    return ControlClient(daemon.state.socket)


def test_a_request_gives_status_and_document(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path) as daemon:
        daemon.on("POST", "/x", respond_json({"a": 1}, status=201))
        assert client_of(daemon).request("POST", "/x", {"b": "ü"}) == (201, {"a": 1})
        assert daemon.request("/x").json == {"b": "ü"}
    daemon.join()


def test_a_socket_path_may_be_longer_than_the_kernel_allows(tmp_path: Path) -> None:
    project = tmp_path / ("d" * 100) / ("e" * 100)
    project.mkdir(parents=True)
    with FakeDaemon(project) as daemon:
        assert client_of(daemon).request("GET", "/ping")[0] == 200
    daemon.join()


def test_without_a_daemon_there_is_nobody(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon):
        ControlClient(tmp_path / "none" / "control.sock").request("GET", "/status")


def test_a_socket_that_a_killed_daemon_left_is_nobody(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path) as daemon:
        kept = daemon.state.root / "kept"
        os.link(daemon.state.socket, kept)
    daemon.join()
    with pytest.raises(NoDaemon):
        ControlClient(kept).request("GET", "/status")


def test_messages_arrive_one_by_one_while_the_stream_goes_on(tmp_path: Path) -> None:
    heard = threading.Event()

    def handle(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line({"n": 1})
        assert heard.wait(DEADLINE)
        connection.line({"n": 2})
        connection.end_lines()

    with FakeDaemon(tmp_path) as daemon:
        daemon.on("POST", "/up", handle)
        messages = iter(client_of(daemon).stream("POST", "/up", {}))
        assert next(messages) == {"n": 1}
        heard.set()
        assert list(messages) == [{"n": 2}]
    daemon.join()


def test_many_messages_in_one_read_are_all_there(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path) as daemon:
        daemon.on("POST", "/up", operation(*({"n": n} for n in range(500))))
        messages = list(client_of(daemon).stream("POST", "/up", {}))
    daemon.join()
    assert [m["n"] for m in messages] == list(range(500))


def test_a_stream_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    def handle(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        connection.line({"n": 1})

    with FakeDaemon(tmp_path) as daemon:
        daemon.on("POST", "/up", handle)
        messages = iter(client_of(daemon).stream("POST", "/up", {}))
        assert next(messages) == {"n": 1}
        with pytest.raises(MsctlError, match="went away"):
            next(messages)
    daemon.join()


def test_a_refusal_is_raised_in_the_words_of_the_daemon(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path) as daemon:
        refusal = {"error": "unknown service usr; did you mean user?", "nearest": "user"}
        daemon.on("POST", "/up", respond_json(refusal, status=404))
        daemon.on("POST", "/stop", respond(500, b"oops"))
        with pytest.raises(UsageError, match="did you mean user"):
            client_of(daemon).stream("POST", "/up", {})
        with pytest.raises(MsctlError, match="oops"):
            client_of(daemon).stream("POST", "/stop", {})
    daemon.join()


@pytest.mark.parametrize("known_length", [True, False])
def test_a_body_is_streamed_from_a_descriptor(tmp_path: Path, *, known_length: bool) -> None:
    content = os.urandom(300_000)
    (tmp_path / "body").write_bytes(content)
    with FakeDaemon(tmp_path) as daemon, (tmp_path / "body").open("rb") as file:
        daemon.on("POST", "/x", respond())
        body = StreamedBody(file.fileno(), len(content) if known_length else None)
        with client_of(daemon).open("POST", "/x", body=body) as exchange:
            assert exchange.read_head().status == 200
        assert daemon.request("/x").body == content
        assert ("content-length" in daemon.request("/x").headers) is known_length
    daemon.join()


def test_an_answer_that_comes_before_the_body_is_sent_is_read(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path) as daemon:
        reader, writer = os.pipe()

        def refuse(_request: Request, connection: Connection) -> None:
            respond(413, b"too long")(_request, connection)

        daemon.on("POST", "/x", refuse)
        os.write(writer, b"beginning")
        body = StreamedBody(reader)
        threading.Timer(0.0, os.close, [writer]).start()
        with client_of(daemon).open("POST", "/x", body=body) as exchange:
            assert exchange.read_head().status == 413
            assert b"".join(exchange.read_body()) == b"too long"
        os.close(reader)
    daemon.join()


def test_a_file_that_became_shorter_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"short")
    with FakeDaemon(tmp_path) as daemon, (tmp_path / "body").open("rb") as file:
        daemon.on("POST", "/x", respond())
        body = StreamedBody(file.fileno(), 5000)
        with client_of(daemon).open("POST", "/x", body=body) as exchange:
            with pytest.raises(MsctlError):
                exchange.read_head()
            assert exchange.send_error is not None
