"""`call --each` against a server whose answers the test chooses."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from msctl.cli.each import as_value, call_each, request_maker
from msctl.errors import NoDaemon

Answer = bytes | None
"""A whole response; None closes the connection instead."""


def response(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"])
    return head.encode() + b"\r\n\r\n" + body


class Server:
    """Answers each request, on a thread of its own for each connection."""

    def __init__(self, answer: Callable[[bytes], Answer]) -> None:
        self._answer = answer
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.now = self.most = 0

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(theirs,))
        thread.start()
        self._threads.append(thread)
        self.connections += 1
        return ours

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while head := self._head(stream.readline):
                length = next(int(f[15:]) for f in head if f.lower().startswith(b"content-length:"))
                body = stream.read(length)
                with self.lock:
                    self.now += 1
                    self.most = max(self.most, self.now)
                answer = self._answer(body)
                with self.lock:
                    self.now -= 1
                if answer is None:
                    return
                try:
                    connection.sendall(answer)
                except OSError:
                    return

    def _head(self, readline: Callable[[], bytes]) -> list[bytes]:
        lines = []
        while (line := readline()) not in {b"\r\n", b""}:
            lines.append(line)
        return lines

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def serving(answer: Callable[[bytes], Answer]) -> Iterator[Server]:
    server = Server(answer)
    yield server
    server.join()


def run(
    server: Server, text: bytes, *, parallel: int = 1, no_fail: bool = False
) -> tuple[int, list[object]]:
    stdin, feed = os.pipe()
    drain, stdout = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        while piece := os.read(drain, 65536):
            got.append(piece)

    def write() -> None:
        with os.fdopen(feed, "wb") as file:
            file.write(text)

    threads = [threading.Thread(target=each) for each in (read, write)]
    for thread in threads:
        thread.start()
    try:
        code = call_each(
            server.connect,
            "POST",
            request_maker("POST", "/call/order/orders", [("Host", "localhost")]),
            parallel=parallel,
            no_fail=no_fail,
            stdin=stdin,
            stdout=stdout,
        )
    finally:
        os.close(stdout)
        os.close(stdin)
        for thread in threads:
            thread.join(10)
        os.close(drain)
    return code, [json.loads(line) for line in b"".join(got).splitlines()]


def test_each_line_is_a_request_and_each_answer_a_line_in_order() -> None:
    with serving(lambda body: response(b'{"got":%b}' % body)) as server:
        code, lines = run(server, b"1\n2\n3", parallel=4)
    assert (code, lines) == (0, [{"got": 1}, {"got": 2}, {"got": 3}])


def test_the_order_holds_when_a_later_answer_comes_first() -> None:
    second = threading.Event()

    def answer(body: bytes) -> bytes:
        if body == b"1":
            assert second.wait(10)
        else:
            second.set()
        return response(body)

    with serving(answer) as server:
        assert run(server, b"1\n2\n", parallel=2) == (0, [1, 2])


def test_no_more_than_so_many_are_under_way_and_connections_are_kept() -> None:
    with serving(response) as server:
        _, lines = run(server, b"".join(b"%d\n" % n for n in range(500)), parallel=3)
    assert lines == list(range(500))
    assert server.most <= 3
    assert server.connections <= 3


def test_a_slow_one_lets_a_number_of_others_pass() -> None:
    answered = 0
    enough = threading.Event()

    def answer(body: bytes) -> bytes:
        nonlocal answered
        if body == b"0":
            assert enough.wait(10)
        else:
            answered += 1
            if answered == 9:
                enough.set()
        return response(body)

    with serving(answer) as server:
        _, lines = run(server, b"".join(b"%d\n" % n for n in range(100)), parallel=2)
    assert lines == list(range(100))


def test_a_failed_line_is_an_object_with_its_reason_and_the_exit_code_says_so() -> None:
    def answer(body: bytes) -> Answer:
        return {
            b"1": response(b"{}", "404 Not Found"),
            b"2": response(b"{}", "503 Service Unavailable", "X-Msctl-Reason: breaker_open"),
            b"3": None,
        }.get(body, response(body))

    with serving(answer) as server:
        code, lines = run(server, b"0\n1\n2\n3\n4\n")
    assert code == 22
    assert lines == [
        0,
        {"error": "Not Found", "status": 404, "line": 2},
        {"error": "breaker_open", "status": 503, "line": 3},
        {
            "error": "the connection was closed before the response",
            "status": None,
            "line": 4,
        },
        4,
    ]


def test_no_fail_gives_the_answers_as_they_are() -> None:
    with serving(lambda _: response(b'{"why":1}', "500 Internal Server Error")) as server:
        assert run(server, b"1\n", no_fail=True) == (0, [{"why": 1}])


def test_no_input_is_no_request() -> None:
    with serving(response) as server:
        assert run(server, b"") == (0, [])
        assert server.connections == 0


def test_an_empty_line_is_a_request_without_a_body() -> None:
    with serving(lambda body: response(b"%d" % len(body))) as server:
        assert run(server, b"\nxy\r\n\n") == (0, [0, 2, 0])


def test_a_long_line_comes_through_whole() -> None:
    text = json.dumps("x" * 3_000_000).encode()
    with serving(response) as server:
        assert run(server, text + b"\n1\n", parallel=2) == (0, ["x" * 3_000_000, 1])


def test_a_reader_that_has_gone_ends_it_while_it_waits() -> None:
    stdin, feed = os.pipe()
    drain, stdout = os.pipe()
    os.close(drain)
    try:
        with serving(response) as server, pytest.raises(BrokenPipeError):
            call_each(
                server.connect,
                "POST",
                request_maker("POST", "/", []),
                parallel=1,
                no_fail=False,
                stdin=stdin,
                stdout=stdout,
            )
    finally:
        for descriptor in (stdin, feed, stdout):
            os.close(descriptor)


def test_without_a_daemon_the_first_request_says_so() -> None:
    def connect() -> socket.socket:
        raise NoDaemon

    with serving(response) as server:
        server.connect = connect  # type: ignore[method-assign]  # nobody is there
        with pytest.raises(NoDaemon):
            run(server, b"1\n")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"a": 1.50}', b'{"a": 1.50}'),
        (b' {"a":\n 1}\n', b'{"a":1}'),
        (b"hello\nworld", b'"hello\\nworld"'),
        (b"", b'""'),
        (b"NaN", b'"NaN"'),
        (b"\xff", '"\N{REPLACEMENT CHARACTER}"'.encode()),
        (b"[" * 100_000, json.dumps("[" * 100_000).encode()),
    ],
)
def test_a_body_becomes_one_line_of_json(body: bytes, line: bytes) -> None:
    assert as_value(body) == line
