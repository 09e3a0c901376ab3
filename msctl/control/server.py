"""Serves the control socket: calls go to the router, the rest to console and control API.

One socket for all, so that `msctl call` needs to find only one place and takes the very path
that every other caller takes through balancer and breaker.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

ProtocolFactory = Callable[[], asyncio.Protocol]
_LAST_ANSWERS = 1.0
"""Seconds for answers that are still under way when the daemon ends."""
_LONGEST_PATH = 100
"""Bytes; the kernel's limit for a unix socket's path is 107."""
_CALL, _CONSOLE = b"/call/", b"/console "
_LONGEST = max(len(_CALL), len(_CONSOLE))


@asynccontextmanager
async def control_server(
    path: Path, app: FastAPI, calls: ProtocolFactory, console: ProtocolFactory
) -> AsyncIterator[None]:
    """Listen on a unix socket, mode 0600, as long as the block lasts; the path may be long."""
    config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
    config.load()
    state = ServerState()

    protocol_class: Any = config.http_protocol_class

    def api() -> asyncio.Protocol:
        protocol: asyncio.Protocol = protocol_class(config=config, server_state=state, app_state={})
        return protocol

    undecided: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()

    def choose(target: bytes) -> asyncio.Protocol:
        if target.startswith(_CALL):
            return calls()
        return console() if target.startswith(_CONSOLE) else api()

    server = await loop.create_unix_server(lambda: _Switch(choose, undecided), sock=_bind(path))
    try:
        yield
    finally:
        server.close()
        for transport in undecided:
            transport.abort()
        for connection in list(state.connections):
            connection.shutdown()
        pending = set(state.tasks)
        if pending:
            await asyncio.wait(pending, timeout=_LAST_ANSWERS)


class _Switch(asyncio.Protocol):
    """Looks at the first request line of a connection and hands the connection on."""

    def __init__(
        self, choose: Callable[[bytes], asyncio.Protocol], undecided: set[asyncio.Transport]
    ) -> None:
        self._choose = choose
        self._undecided = undecided
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of the interface, but not the base class.
        self._transport = cast("asyncio.Transport", transport)
        self._undecided.add(self._transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._undecided.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        target = self._received.partition(b" ")[2]
        if len(target) < _LONGEST and b"\n" not in self._received:
            return
        protocol = self._choose(target)
        self._undecided.discard(self._transport)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._received)


def _bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            listener.bind(str(path))
        else:
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                listener.bind(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.close(directory)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    listener.settimeout(0)
    return listener
