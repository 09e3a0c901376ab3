"""The fleet behind the fake daemon's console: what a test has written down for the control API."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msctl.client import BrokenResponse, ControlClient, MessageStream
from msctl.errors import MsctlError

Json = Mapping[str, Any]


async def read(stream: MessageStream, die: Callable[[], object]) -> list[dict[str, Any]]:
    """What one read brings; when the handler breaks off, the daemon is to have died."""
    try:
        return await asyncio.to_thread(stream.receive)
    except BrokenResponse:
        die()
        await asyncio.Event().wait()  # until the console notices
        raise
    except asyncio.CancelledError:
        drop(stream)  # the thread that reads it ends
        raise


def drop(stream: MessageStream) -> None:
    with suppress(OSError):
        stream._exchange._connection.shutdown(socket.SHUT_RDWR)


class FakeOperation:
    """A stream of the control API; cancelled through it, as soon as it has said its name."""

    def __init__(
        self, client: ControlClient, stream: MessageStream, die: Callable[[], object]
    ) -> None:
        self._client = client
        self._stream = stream
        self._die = die
        self._id: str | None = None
        self._wants_end = False
        self._ended = False

    async def messages(self) -> AsyncIterator[Json]:
        with closing(self._stream):
            while not self._ended:
                for message in await read(self._stream, self._die):
                    if message["type"] == "accepted":
                        self._id = message["operation"]
                        if self._wants_end:
                            self._ask()
                    self._ended = self._ended or message["type"] == "result"
                    yield message

    def cancel(self) -> None:
        if not self._ended and not self._wants_end:
            self._wants_end = True
            self._ask()

    def _ask(self) -> None:
        if self._id is None:
            return

        def ask() -> None:
            with suppress(MsctlError):
                self._client.request("POST", f"/operations/{self._id}/cancel", {}, timeout=2.0)

        threading.Thread(target=ask).start()


class FakeDesk:
    """Asks the handlers of the fake daemon, through its own socket."""

    def __init__(self, path: Path, die: Callable[[], object]) -> None:
        self._client = ControlClient(path)
        self._die = die

    async def status(self, names: Sequence[str]) -> Json:
        query = urlencode([("service", name) for name in names])
        path = f"/status?{query}" if query else "/status"
        document = await asyncio.to_thread(self._client.fetch, "GET", path)
        services = [each for each in document["services"] if each["name"] in names]
        return {**document, "services": services} if names else document

    def begin(self, kind: str, body: Json) -> FakeOperation:
        return FakeOperation(self._client, self._client.stream("POST", f"/{kind}", body), self._die)

    async def events(self, *, follow: bool) -> AsyncIterator[Sequence[Json]]:
        path = "/events?follow=1" if follow else "/events"
        stream = await asyncio.to_thread(self._client.stream, "GET", path)
        with closing(stream):
            while not stream.ended:
                yield await read(stream, self._die)

    @asynccontextmanager
    async def attached(self) -> AsyncIterator[None]:
        attachment = self._client.open("GET", "/attach")
        try:
            yield
        finally:
            attachment.close()
