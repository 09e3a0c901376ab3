"""Following an operation to its result: progress, warnings, Ctrl-C."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from signal import SIGTERM
from typing import Any

from msctl.clock import SystemClock
from msctl.control.console.desk import Desk, Document, Running
from msctl.control.console.terminal import Item, Signalled, Terminal
from msctl.control.console.views import View, view_of
from msctl.exitcodes import ExitCode
from msctl.render.outcome import Result
from msctl.render.progress import Goal, Progress

_TICK = 0.1  # seconds between two pictures


class Abandoned(Exception):
    """A second signal came before the operation had ended; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__()


class Follower:
    """Follows one operation; the first signal cancels it, the second raises Abandoned."""

    def __init__(self, desk: Desk, terminal: Terminal, goal: Goal, *, live: bool = True) -> None:
        self._desk = desk
        self._terminal = terminal
        self._clock = SystemClock()
        self._began = self._clock.now()
        self._progress = Progress(goal)
        self._view: View = view_of(self._progress, terminal, live=live)
        self._interrupted: int | None = None

    async def follow(self, kind: str, body: Mapping[str, Any]) -> Result:
        """Begin the operation and return its result; raises what it is refused with.

        When this is cancelled, because the command has gone, so is the operation.
        """
        operation = self._desk.begin(kind, body)
        try:
            async with pumped(operation, self._terminal):
                message = await self._to_result(operation)
        finally:
            operation.cancel()
            self._view.clear()
        return Result.read(message, self._clock.now() - self._began)

    async def _to_result(self, operation: Running) -> dict[str, Any]:
        while True:
            item = await self._next()
            match item:
                case Signalled():
                    self._cancel(operation, item.number)
                case Exception():
                    self._view.clear()
                    raise item
                case Mapping() if item["type"] == "result":
                    code = item["exit_code"]
                    if code == ExitCode.INTERRUPTED and self._interrupted is not None:
                        code = self._interrupted
                    return {**item, "exit_code": code}
                case Mapping():
                    self._take(item)
            if self._terminal.inbox.empty():
                self._view.tick(self._clock.now())

    async def _next(self) -> Item | None:
        try:
            async with asyncio.timeout(_TICK if self._view.moves else None):
                return await self._terminal.inbox.get()
        except TimeoutError:
            return None

    def _take(self, message: Document) -> None:
        now = self._clock.now()
        match message["type"]:
            case "accepted":
                self._progress.accepted(message, now)
            case "warning":
                self._view.clear()
                self._terminal.warn(message["message"])
            case "event":
                if (service := self._progress.event(message, now)) is not None:
                    self._view.changed(service)

    def _cancel(self, operation: Running, number: int) -> None:
        again = self._interrupted is not None
        self._interrupted = ExitCode.TERMINATED if number == SIGTERM else ExitCode.INTERRUPTED
        self._view.clear()
        if again:
            raise Abandoned(self._interrupted)
        self._terminal.say("cancelling; interrupt again to leave at once")
        operation.cancel()


@asynccontextmanager
async def pumped(operation: Running, terminal: Terminal) -> AsyncIterator[None]:
    """As long as the block lasts, put what the operation says into the terminal's inbox."""
    pump = asyncio.create_task(_pump(operation, terminal))
    try:
        yield
    finally:
        pump.cancel()
        await asyncio.wait({pump})


async def _pump(operation: Running, terminal: Terminal) -> None:
    try:
        async for message in operation.messages():
            terminal.inbox.put_nowait(message)
    except Exception as error:  # noqa: BLE001  the session raises it
        terminal.inbox.put_nowait(error)
