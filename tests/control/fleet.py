"""A fleet of fake processes behind the real control socket, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from msctl.client import ControlClient
from msctl.config.models import ServiceConfig
from msctl.control.api import ControlApi
from msctl.control.server import control_server
from tests.runtime.bench import Bench, fleet_of
from tests.runtime.real import PATIENCE, run, wait_until

T = TypeVar("T")


class CallProtocol(asyncio.Protocol):
    """Stands for the router: answers with the bytes that it was given."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Router: yes\r\n\r\n" % len(data)
        self._transport.write(head + data)  # type: ignore[attr-defined]


class ControlledFleet:
    """Serves until it is told to end; the test's own thread is the client."""

    def __init__(self, directory: Path, *services: ServiceConfig) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.parts = Bench(directory, fleet_of(directory, *services))
        self.parts.state.create()
        self.socket = self.parts.state.socket
        self.client = ControlClient(self.socket)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self.join()

    def join(self) -> None:
        """Wait until the daemon has ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the daemon did not end"
        if self._error is not None:
            raise self._error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have the daemon's loop do something and return what comes of it."""
        assert not self.ended, "the daemon has ended"
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the daemon's loop."""

        async def work() -> T:
            return function()

        return self.do(work)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something to be true on the daemon's loop."""
        return wait_until(lambda: self.call(condition), what)

    def running(self) -> list[str]:
        """The instances that are registered."""
        everything = self.call(self.parts.registry.get_all_services)
        return sorted(instance.id for each in everything.values() for instance in each)

    def run(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command and return its result message."""
        *_, result = self.client.stream("POST", path, body)
        assert result["type"] == "result"
        return result

    def _run(self) -> None:
        try:
            run(self._serve())
        except BaseException as error:  # noqa: BLE001  the test's thread raises it
            self._error = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        parts = self.parts
        self.api = ControlApi(parts.orchestrator, parts.commands, parts.status, self._end)
        async with (
            control_server(self.socket, self.api.app, CallProtocol, self.api.console.protocol),
            self.api.running(),
            parts.running(),
        ):
            self._ready.set()
            await self._end.wait()
