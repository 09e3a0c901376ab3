"""Real sockets on loopback: scripted instances behind a gateway, a raw client before it."""

import asyncio
import contextlib
import gc
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Self, TypeVar

import uvloop

from msctl.clock import SystemClock
from msctl.core.discovery import ServiceDiscovery
from msctl.core.registry import ServiceRegistry
from msctl.core.router import RoutePolicy, Router
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.proxy.access import AccessLog
from msctl.proxy.gateway import Gateway

PATIENCE = 5.0
T = TypeVar("T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(main: Coroutine[object, object, T], loop: str = "uvloop") -> T:
    """Run to the end; no task may be left, and no socket (its ResourceWarning is an error)."""

    async def bounded() -> T:
        result = await asyncio.wait_for(main, 30)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left: {left}"
        return result

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        result = runner.run(bounded())
    gc.collect()
    return result


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time


async def until(condition: Callable[[], object], message: str, within: float = PATIENCE) -> None:
    """Wait until the condition holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        assert loop.time() < deadline, f"not within {within} s: {message}"
        await asyncio.sleep(0.002)


def listening(backlog: int = 128) -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    return sock


@dataclass
class Request:
    """What an instance got."""

    line: str
    lines: list[str]
    body: bytes = b""
    trailers: list[str] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        pairs = (line.partition(":") for line in self.lines)
        return [value.strip() for key, _, value in pairs if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        found = self.all(name)
        assert len(found) == 1, f"{name}: {found}"
        return found[0]


@dataclass
class Response(Request):
    """What the client got; the line is the status line."""

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])


class Peer:
    """One end of a connection, with a reader of messages that owes nothing to msctl's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: str | bytes) -> None:
        self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)

    async def lines(self) -> list[str]:
        block = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        return block[:-4].decode("latin-1").split("\r\n")

    async def request(self) -> Request:
        """Read a request with its body."""
        line, *lines = await self.lines()
        request = Request(line, lines)
        await self._body(request, until_close=False)
        return request

    async def head(self) -> Response:
        line, *lines = await self.lines()
        return Response(line, lines)

    async def response(self, *, bodiless: bool = False) -> Response:
        """Read a response with its body."""
        response = await self.head()
        if not bodiless and response.status not in (204, 304) and response.status >= 200:
            await self._body(response, until_close=True)
        return response

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)
        if size:
            assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def ended(self) -> bool:
        """Whether the other side closed, in whatever way, and nothing came before that."""
        try:
            return await asyncio.wait_for(self.reader.read(1), PATIENCE) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def cut(self) -> None:
        self.writer.transport.abort()

    def reset(self) -> None:
        """Go away at once, what is still on its way included."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.cut()

    async def _body(self, message: Request, *, until_close: bool) -> None:
        if message.all("Transfer-Encoding"):
            while data := await self.chunk():
                message.body += data
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                message.trailers.append(line[:-2].decode())
        elif message.all("Content-Length"):
            length = int(message.one("Content-Length"))
            message.body = await asyncio.wait_for(self.reader.readexactly(length), PATIENCE)
        elif until_close:
            message.body = await asyncio.wait_for(self.reader.read(-1), PATIENCE)


Script = Callable[[Peer], Awaitable[None]]


async def echo(peer: Peer) -> None:
    """Answer every request with its body."""
    while True:
        request = await peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(request.body)}\r\n\r\n")
        peer.send(request.body)


def answering(*responses: str) -> Script:
    """Answer the requests of a connection with these in turn, then close it."""

    async def script(peer: Peer) -> None:
        for response in responses:
            await peer.request()
            peer.send(response)

    return script


def ok(body: str = "", *lines: str) -> str:
    return "\r\n".join(("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *lines, "", body))


class Upstream:
    """A scripted instance; the script runs once for each connection."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.requests: list[Request] = []
        self.cut_at: float | None = None
        """When the proxy ended a connection, on the loop's clock."""
        self.errors: list[BaseException] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        sock = listening()
        self.port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._accepted, sock=sock)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Refuse from now on, and cut what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        assert not self.errors, self.errors

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._run(Peer(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, peer: Peer) -> None:
        self.connections += 1
        original = peer.request

        async def recorded() -> Request:
            request = await original()
            self.requests.append(request)
            return request

        peer.request = recorded  # type: ignore[method-assign]  # the recording is this fake's job
        try:
            await self._script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.cut_at = asyncio.get_running_loop().time()
        except AssertionError as error:
            self.errors.append(error)
        finally:
            await peer.close()


@dataclass
class Fleet:
    """A registry, a router and a gateway, with one front door for the service `api`."""

    registry: ServiceRegistry
    router: Router
    gateway: Gateway
    port: int
    slow: list[str]
    refused: list[str]

    def add(self, upstream: Upstream, number: int = 1, *, service: str = "api") -> ServiceInstance:
        instance = ServiceInstance(
            id=f"{service}-{number}",
            service=service,
            port=upstream.port,
            status=ServiceStatus.RUNNING,
            health=Health.HEALTHY,
        )
        self.registry.register_service(instance)
        return instance

    @contextlib.asynccontextmanager
    async def client(self, port: int | None = None) -> AsyncIterator[Peer]:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port or self.port))
        try:
            yield peer
        finally:
            await peer.close()

    async def call(self, text: str | bytes, *, bodiless: bool = False) -> Response:
        """Send one request over a connection of its own, and return the answer."""
        async with self.client() as client:
            client.send(text)
            return await client.response(bodiless=bodiless)

    def connections(self) -> int:
        route = self.router.route("api")
        assert route is not None
        return sum(route.connections(i.id) for i in self.registry.get_service("api"))

    def __repr__(self) -> str:
        return repr(self.gateway)


@contextlib.asynccontextmanager
async def fleet(
    policy: RoutePolicy | None = None, *, access_log: AccessLog | None = None
) -> AsyncIterator[Fleet]:
    registry = ServiceRegistry()
    discovery = ServiceDiscovery(registry)
    router = Router(discovery, random.Random(1))
    router.configure("api", policy or RoutePolicy())
    slow: list[str] = []
    refused: list[str] = []
    gateway = Gateway(
        router,
        SystemClock(),
        registry,
        on_slow=lambda instance: slow.append(instance.id),
        on_refused=lambda instance: refused.append(instance.id),
        bits=random.Random(2),
        access_log=access_log,
    )
    sock = listening()
    port = sock.getsockname()[1]
    await gateway.open_front_door("api", [sock])
    made = Fleet(registry, router, gateway, port, slow, refused)
    try:
        yield made
    finally:
        await gateway.close()
        router.close()
        discovery.close()
        assert "open=0 idle=0" in repr(gateway)


def get(path: str = "/", *lines: str, method: str = "GET") -> str:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: shop:1", *lines, "", ""))


def post(body: str, *lines: str, method: str = "POST") -> str:
    return get("/", f"Content-Length: {len(body)}", *lines, method=method) + body
