"""Takes the commands of one fleet, whoever brings them: the control API or the console."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from msctl.config.naming import choose_services
from msctl.control.requests import (
    RestartRequest,
    ScaleRequest,
    StartRequest,
    StopRequest,
    UpRequest,
    WaitRequest,
)
from msctl.errors import UsageError
from msctl.runtime.commands import Commands, RestartOptions, UpOptions
from msctl.runtime.events import Event
from msctl.runtime.operation import Operation, Outcome
from msctl.runtime.orchestrator import Orchestrator, StopOptions
from msctl.runtime.status import StatusReport

T = TypeVar("T")

REQUESTS: Mapping[str, type[BaseModel]] = {
    "up": UpRequest,
    "start": StartRequest,
    "restart": RestartRequest,
    "scale": ScaleRequest,
    "stop": StopRequest,
    "wait": WaitRequest,
}
"""What each kind of operation is asked for with."""


class FleetDesk:
    """Carries commands out as long as it is `running`; sets `end` when the daemon is to end."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        commands: Commands,
        status: StatusReport,
        end: asyncio.Event,
    ) -> None:
        self._fleet = orchestrator
        self._commands = commands
        self._status = status
        self._end = end
        self.used = False
        """Whether anyone has asked for anything yet."""
        self._closing = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._numbers = itertools.count(1)
        self._operations: dict[str, Operation] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out operations as long as the block lasts; at its end the last ones finish."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                self._closing.set()

    async def status(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the status document, of all or of the named services."""
        chosen = choose_services(names, self._fleet.fleet.services)
        return await self._status.document(chosen)

    async def events(self, *, follow: bool) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the events that are kept, and with `follow` those to come, until the end."""
        arrived: asyncio.Queue[Event] = asyncio.Queue()
        unsubscribe = self._fleet.events.subscribe(arrived.put_nowait)
        try:
            yield [kept.document() for kept in self._fleet.events.kept()]
            while follow and (event := await self.unless_closing(arrived.get())):
                yield [event.document()]
        finally:
            unsubscribe()

    @asynccontextmanager
    async def attached(self) -> AsyncIterator[None]:
        """Tie the fleet to the block: when it is left, everything stops."""
        self.used = True
        try:
            yield
        finally:
            self._end.set()

    async def unless_closing(self, wanted: Coroutine[Any, Any, T]) -> T | None:
        """Await something that may never come; None when the daemon ends first."""
        task = asyncio.ensure_future(wanted)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            closing.cancel()

    def begin(self, kind: str, body: Mapping[str, Any]) -> Operation:
        """Begin an operation, see `REQUESTS`; raises UsageError when the body is none of its."""
        try:
            request = REQUESTS[kind].model_validate(body)
        except ValidationError as error:
            raise UsageError(f"{kind}: {error}") from None
        return self.carry_out(request)

    def carry_out(self, request: BaseModel) -> Operation:
        """Begin what is asked for; cancelling it is up to whoever reads its messages.

        It is a task of its own: cancelling the operation lets it tidy up, and never cancels
        the task.
        """
        assert self._tasks is not None, "requests are served while running"
        operation = Operation(next(self._numbers), self._fleet.changed, self._fleet.events)
        self.used = True
        self._operations[operation.id] = operation
        self._tasks.create_task(self._run(operation, request), name=operation.id)
        return operation

    def cancel(self, number: str) -> bool:
        """Interrupt an operation; its own messages tell how it ended. False: there is none."""
        if (operation := self._operations.get(number)) is None:
            return False
        operation.cancel()
        return True

    async def _run(self, operation: Operation, request: BaseModel) -> None:
        try:
            exit_code = await operation.run(self._work(request), self._status.document)
            if self._is_over(request, exit_code):
                self._end.set()
        finally:
            del self._operations[operation.id]

    def _work(self, request: BaseModel) -> Callable[[Operation], Coroutine[Any, Any, Outcome]]:
        commands = self._commands
        match request:
            case UpRequest():
                options = UpOptions(**request.model_dump())
                return lambda operation: commands.up(operation, options)
            case RestartRequest():
                restart = RestartOptions(**request.model_dump(exclude={"services"}))
                return lambda operation: commands.restart(operation, request.services, restart)
            case StartRequest():
                return lambda operation: commands.start(
                    operation, request.services, request.environment, request.timeout
                )
            case ScaleRequest():
                return lambda operation: commands.scale(
                    operation, request.replicas, request.timeout, request.environment
                )
            case StopRequest():
                stop = StopOptions(timeout=request.timeout, kill=request.kill)
                return lambda operation: commands.stop(operation, request.services, stop)
            case WaitRequest():
                return lambda operation: commands.wait(
                    operation, request.services, request.goal, request.timeout
                )
        raise AssertionError(f"a request without a command: {request!r}")

    def _is_over(self, request: BaseModel, exit_code: int) -> bool:
        """Whether the daemon has nothing left to do after this."""
        match request:
            case StopRequest():
                return exit_code == 0 and not request.services
            case UpRequest():
                return exit_code != 0 and not self._fleet.wanted()
        return False
