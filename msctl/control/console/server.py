"""The console's connections: each is one command, from what it asks for to its exit code."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from msctl.client import frames
from msctl.control.console import foreground, looking, operations
from msctl.control.console.desk import Desk
from msctl.control.console.terminal import Notice, Request, Signalled, Terminal
from msctl.errors import MsctlError
from msctl.exitcodes import ExitCode
from msctl.render.errors import code_of, error_lines

logger = logging.getLogger(__name__)

Session = Callable[[Desk, Terminal, Request], Awaitable[int]]

SESSIONS: Mapping[str, Session] = {
    "up": operations.up,
    "prepare": operations.prepare,
    "foreground": foreground.foreground,
    "start": operations.start,
    "restart": operations.restart,
    "scale": operations.scale,
    "stop": operations.stop,
    "wait": operations.wait,
    "status": looking.status,
    "events": looking.events,
}

_HEAD_END = b"\r\n\r\n"
_LONGEST = 1 << 24  # bytes; an environment has a few kilobytes
_LAST_WORDS = 1.0
"""Seconds for sessions that are still under way when the daemon ends."""


class Console:
    """Serves commands as long as it is `running`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._terminals: set[Terminal] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve as long as the block lasts; at its end who only looks on is sent home."""
        try:
            yield
        finally:
            for terminal in self._terminals:
                terminal.inbox.put_nowait(Notice.CLOSING)
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=_LAST_WORDS)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    def protocol(self) -> asyncio.Protocol:
        """Return a protocol for one connection, whose greeting has not been read yet."""
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(_HEAD_END)
            writer.write(frames.WELCOME)
            kind, payload = await _read(reader)
            if kind == frames.COMMAND:
                await self._run(Request.read(payload), reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # it went away, or is none of ours
        finally:
            writer.transport.abort()  # of no effect when it is closed

    async def _run(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry the command out, unless it goes away before that."""
        terminal = Terminal(writer, request)
        self._terminals.add(terminal)
        session = asyncio.create_task(self._session(terminal, request))
        listening = asyncio.create_task(_listen(reader, terminal))
        try:
            await asyncio.wait({session, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._terminals.discard(terminal)
            listening.cancel()
            session.cancel()
            await asyncio.wait({session, listening})

    async def _session(self, terminal: Terminal, request: Request) -> None:
        try:
            code = await SESSIONS.get(request.command, _unknown)(self._desk, terminal, request)
        except MsctlError as error:
            decorated = terminal.decorates_stderr
            terminal.say(*error_lines(error, terminal.cwd, decorated=decorated))
            code = code_of(error)
        except Exception as error:
            logger.exception("command failed", extra={"command": request.command})
            terminal.complain(f"internal error: {error!r}")
            code = ExitCode.FAILED
        terminal.exit(code)


async def _unknown(_desk: Desk, _terminal: Terminal, request: Request) -> int:
    raise MsctlError(f"this daemon knows no command {request.command}; restart it: msctl stop, up")


async def _listen(reader: asyncio.StreamReader, terminal: Terminal) -> None:
    """Take what the command sends later; return when it goes away."""
    while True:
        try:
            kind, payload = await _read(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return
        if kind == frames.SIGNAL:
            terminal.inbox.put_nowait(Signalled(int(payload)))
        elif kind == frames.SIZE:
            terminal.resize(payload.decode())


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    length = int.from_bytes(head[1:], "big")
    if length > _LONGEST:
        raise ValueError("the message is too long")
    return head[:1], await reader.readexactly(length)
