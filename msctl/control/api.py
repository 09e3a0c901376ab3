"""The control API on the fleet's unix socket: commands in, NDJSON out.

It exposes the fleet to whoever can open the socket, which mode 0600 in a directory of mode
0700 limits to its owner. Should it ever be offered over TCP, that listener has to check Host
and Origin and want a token, because a browser page can reach it (contract.md, HTTP).
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self, TypeVar

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from msctl.config.naming import check_services
from msctl.control.requests import StartRequest, StopRequest, UpRequest, WaitRequest
from msctl.errors import UnknownService, UsageError
from msctl.runtime.commands import Commands, UpOptions
from msctl.runtime.events import Event
from msctl.runtime.operation import Operation, Outcome
from msctl.runtime.orchestrator import Orchestrator, StopOptions
from msctl.runtime.status import StatusReport

T = TypeVar("T")
NDJSON = "application/x-ndjson"
Work = Callable[[Operation], Awaitable[Outcome]]


class ControlApi:
    """Serves the commands of one fleet."""

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
        self.app = FastAPI(title="msctl control", openapi_url=None)
        self._add_routes()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out operations as long as the block lasts; at its end the last ones finish."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                self._closing.set()

    def with_routes(self, routes: APIRouter) -> Self:
        """Serve these too; what they raise is answered as everywhere."""
        self.app.include_router(routes)
        return self

    def _add_routes(self) -> None:
        add = self.app.add_api_route
        add("/ping", self.ping, methods=["GET"])
        add("/status", self.status, methods=["GET"])
        add("/events", self.events, methods=["GET"])
        add("/attach", self.attach, methods=["GET"])
        add("/up", self.up, methods=["POST"])
        add("/start", self.start, methods=["POST"])
        add("/restart", self.restart, methods=["POST"])
        add("/stop", self.stop, methods=["POST"])
        add("/wait", self.wait, methods=["POST"])
        add("/operations/{number}/cancel", self.cancel, methods=["POST"])
        self.app.add_exception_handler(UnknownService, _unknown_service)
        self.app.add_exception_handler(UsageError, _wrong_use)

    async def ping(self) -> JSONResponse:
        """Tell that the daemon is there; 503 while it is ending."""
        document = {"project": self._fleet.fleet.project}
        return JSONResponse(document, status_code=503 if self._end.is_set() else 200)

    async def status(self, service: Annotated[list[str] | None, Query()] = None) -> JSONResponse:
        """Return the status document, of all or of the named services."""
        names = service or []
        check_services(names, self._fleet.fleet.services)
        return JSONResponse(await self._status.document(names))

    async def events(self, follow: bool = False) -> StreamingResponse:  # noqa: FBT001, FBT002  a query parameter
        """Return the events that are kept, and with `follow` those to come."""

        async def lines() -> AsyncIterator[bytes]:
            arrived: asyncio.Queue[Event] = asyncio.Queue()
            unsubscribe = self._fleet.events.subscribe(arrived.put_nowait)
            try:
                for kept in self._fleet.events.kept():
                    yield _line(kept.document())
                while follow and (event := await self._unless_closing(arrived.get())):
                    yield _line(event.document())
            finally:
                unsubscribe()

        return StreamingResponse(lines(), media_type=NDJSON)

    async def attach(self, request: Request) -> StreamingResponse:
        """Tie the fleet to this connection: when it drops, everything stops."""

        async def stay() -> AsyncIterator[bytes]:
            self.used = True
            yield _line({"type": "attached"})
            try:
                await self._unless_closing(_gone(request))
            finally:
                self._end.set()

        return StreamingResponse(stay(), media_type=NDJSON)

    async def _unless_closing(self, wanted: Coroutine[Any, Any, T]) -> T | None:
        """Await something that may never come; None when the daemon ends first."""
        task = asyncio.ensure_future(wanted)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            closing.cancel()

    async def up(self, body: UpRequest, request: Request) -> StreamingResponse:
        """Start the services and their dependencies."""
        options = UpOptions(**body.model_dump())

        def is_over(outcome_code: int) -> bool:
            return outcome_code != 0 and not self._fleet.wanted()

        return self._run(request, lambda operation: self._commands.up(operation, options), is_over)

    async def start(self, body: StartRequest, request: Request) -> StreamingResponse:
        """Start services that do not run."""
        return self._run(
            request,
            lambda operation: self._commands.start(
                operation, body.services, body.environment, body.timeout
            ),
        )

    async def restart(self, body: StartRequest, request: Request) -> StreamingResponse:
        """Replace all instances of services."""
        return self._run(
            request,
            lambda operation: self._commands.restart(
                operation, body.services, body.environment, body.timeout
            ),
        )

    async def stop(self, body: StopRequest, request: Request) -> StreamingResponse:
        """Stop services, or everything and then the daemon."""
        options = StopOptions(timeout=body.timeout, kill=body.kill)
        return self._run(
            request,
            lambda operation: self._commands.stop(operation, body.services, options),
            lambda _: not body.services,
        )

    async def wait(self, body: WaitRequest, request: Request) -> StreamingResponse:
        """Wait until services are in a state."""
        return self._run(
            request,
            lambda operation: self._commands.wait(
                operation, body.services, body.goal, body.timeout
            ),
        )

    async def cancel(self, number: str) -> Response:
        """Interrupt an operation; its own stream tells how it ended."""
        operation = self._operations.get(number)
        if operation is None:
            return JSONResponse({"error": f"no operation {number}"}, status_code=404)
        operation.cancel()
        return Response(status_code=204)

    def _run(
        self,
        request: Request,
        work: Work,
        ends_daemon: Callable[[int], bool] = lambda _: False,
    ) -> StreamingResponse:
        """Carry out an operation and stream its messages.

        It is a task of its own: a caller that goes away cancels the operation, which then
        still tidies up, never the task.
        """
        assert self._tasks is not None, "requests are served while running"
        operation = Operation(next(self._numbers), self._fleet.changed, self._fleet.events)

        self.used = True

        async def carry_out() -> None:
            self._operations[operation.id] = operation
            gone = asyncio.ensure_future(_gone(request))
            gone.add_done_callback(lambda gone: None if gone.cancelled() else operation.cancel())
            try:
                exit_code = await operation.run(work, self._status.document)
                if ends_daemon(exit_code):
                    self._end.set()
            finally:
                gone.cancel()
                del self._operations[operation.id]

        self._tasks.create_task(carry_out(), name=operation.id)

        async def lines() -> AsyncIterator[bytes]:
            async for message in operation.messages():
                yield _line(message)

        return StreamingResponse(lines(), media_type=NDJSON)


async def _gone(request: Request) -> None:
    """Return when the caller has dropped the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _unknown_service(_: Request, error: Exception) -> JSONResponse:
    nearest = error.nearest if isinstance(error, UnknownService) else None
    return JSONResponse({"error": str(error), "nearest": nearest}, status_code=404)


async def _wrong_use(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
