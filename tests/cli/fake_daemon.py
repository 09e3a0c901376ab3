"""A control server that says what a test has written down, on a real unix socket."""

import asyncio
import fcntl
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msctl.control.console.server import Console
from msctl.runtime.statedir import StateDir
from tests.cli.fake_desk import FakeDesk

Json = dict[str, Any]
DEADLINE = 20.0  # seconds; only a failing test waits that long


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        document: Json = json.loads(self.body)
        return document


@dataclass
class Connection:
    """What a handler writes its answer to."""

    socket: socket.socket

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def begin_lines(self) -> None:
        self.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )

    def line(self, message: Json) -> None:
        data = json.dumps(message).encode() + b"\n"
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end_lines(self) -> None:
        self.send(b"0\r\n\r\n")

    def wait_until_dropped(self) -> None:
        self.socket.settimeout(DEADLINE)
        with suppress(ConnectionError):
            while self.socket.recv(65536):
                pass


_CONSOLE = b"GET /console "
Handler = Callable[[Request, Connection], None]


def respond(
    status: int = 200, body: bytes = b"", headers: Iterable[str] = (), reason: str = "OK"
) -> Handler:
    lines = [f"HTTP/1.1 {status} {reason}", *headers, f"content-length: {len(body)}"]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return lambda _request, connection: connection.send(head + body)


def respond_json(document: Json, status: int = 200) -> Handler:
    return respond(status, json.dumps(document).encode(), ["content-type: application/json"])


def operation(*messages: Json) -> Handler:
    def handle(_request: Request, connection: Connection) -> None:
        connection.begin_lines()
        for message in messages:
            connection.line(message)
        connection.end_lines()

    return handle


@dataclass
class FakeDaemon:
    """Holds lock, run file and socket of a project as the real one does."""

    project: Path
    handlers: dict[tuple[str, str], Handler] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    name: str | None = None
    """Its name beside the first fleet of the directory."""

    def __post_init__(self) -> None:
        self.state = StateDir.for_project(self.project, self.name)
        self._threads: list[threading.Thread] = []
        self._ends: list[Callable[[], object]] = []
        """What tells the consoles that the daemon ends."""
        self.on("GET", "/ping", respond_json({"project": self.project.name}))

    def on(self, method: str, path: str, handler: Handler) -> None:
        self.handlers[method, path] = handler

    def request(self, path: str) -> Request:
        return next(request for request in self.requests if request.path == path)

    def __enter__(self) -> Self:
        self.state.create()
        self._lock = os.open(self.state.lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._listener = socket.socket(socket.AF_UNIX)
        directory = os.open(self.state.root, os.O_RDONLY)
        self._listener.bind(f"/proc/self/fd/{directory}/control.sock")
        os.close(directory)
        self._listener.listen(64)
        name = self.name or self.project.name
        run = {"schema_version": 1, "pid": os.getpid(), "project": name}
        self.state.run_file.write_text(json.dumps(run))
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Go away as the real daemon does: socket, run file, lock."""
        if not self._open:
            return
        self._open = False
        for end in self._ends:
            with suppress(RuntimeError):  # its command has ended, and its loop with it
                end()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.state.remove_leftovers()
        os.close(self._lock)

    def join(self) -> None:
        for thread in [self._accepting, *self._threads]:
            thread.join(DEADLINE)
            assert not thread.is_alive(), "a handler of the fake daemon hangs"

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(accepted,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, suppress(BrokenPipeError, ConnectionResetError):
            accepted.settimeout(DEADLINE)
            if accepted.recv(len(_CONSOLE), socket.MSG_PEEK | socket.MSG_WAITALL) == _CONSOLE:
                self._show(accepted.dup())
                return
            if (request := _read_request(accepted)) is None:
                return
            self.requests.append(request)
            path = request.path.partition("?")[0]
            handler = self.handlers.get((request.method, path), respond(404, b"{}"))
            handler(request, Connection(accepted))

    def _show(self, accepted: socket.socket) -> None:
        """Let the real console serve a command, with the handlers as its fleet."""
        accepted.settimeout(0)

        async def serve() -> None:
            ended, loop = asyncio.Event(), asyncio.get_running_loop()
            self._ends.append(lambda: loop.call_soon_threadsafe(ended.set))

            def die() -> None:
                transport.abort()
                ended.set()

            console = Console(FakeDesk(self.state.socket, die))
            async with console.running():
                transport, _ = await loop.connect_accepted_socket(console.protocol, accepted)
                ending = asyncio.create_task(ended.wait())
                await asyncio.wait({ending, *console._tasks}, return_when=asyncio.FIRST_COMPLETED)
                ending.cancel()

        asyncio.run(serve())


def _read_request(connection: socket.socket) -> Request | None:
    with connection.makefile("rb") as stream:
        first = stream.readline().decode().split()
        if not first:
            return None
        headers = {}
        while (line := stream.readline().decode().rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while (size := int(stream.readline(), 16)) > 0:
                body += stream.read(size)
                stream.readline()
            stream.readline()
        else:
            body = stream.read(int(headers.get("content-length", 0)))
    return Request(first[0], first[1], headers, body)
