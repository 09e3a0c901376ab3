"""The control API on the fleet's unix socket: commands in, NDJSON out.

It exposes the fleet to whoever can open the socket, which mode 0600 in a directory of mode
0700 limits to its owner. Should it ever be offered over TCP, that listener has to check Host
and Origin and want a token, because a browser page can reach it (contract.md, HTTP).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from msctl.control.console.server import Console
from msctl.control.desk import FleetDesk
from msctl.control.requests import (
    RestartRequest,
    ScaleRequest,
    StartRequest,
    StopRequest,
    UpRequest,
    WaitRequest,
)
from msctl.errors import UnknownService, UsageError
from msctl.runtime.commands import Commands
from msctl.runtime.operation import Operation
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.status import StatusReport

NDJSON = "application/x-ndjson"


class ControlApi:
    """Serves the commands of one fleet, over HTTP and by its console."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        commands: Commands,
        status: StatusReport,
        end: asyncio.Event,
    ) -> None:
        self._fleet = orchestrator
        self._end = end
        self._desk = FleetDesk(orchestrator, commands, status, end)
        self.console = Console(self._desk)
        self.app = FastAPI(title="msctl control", openapi_url=None)
        self._add_routes()

    @property
    def used(self) -> bool:
        """Whether anyone has asked for anything yet."""
        return self._desk.used

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out operations as long as the block lasts; at its end the last ones finish."""
        async with self.console.running(), self._desk.running():
            yield

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
        add("/scale", self.scale, methods=["POST"])
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
        return JSONResponse(await self._desk.status(service or []))

    async def events(self, follow: bool = False) -> StreamingResponse:  # noqa: FBT001, FBT002  a query parameter
        """Return the events that are kept, and with `follow` those to come."""

        async def lines() -> AsyncIterator[bytes]:
            async for batch in self._desk.events(follow=follow):
                for event in batch:
                    yield _line(event)

        return StreamingResponse(lines(), media_type=NDJSON)

    async def attach(self, request: Request) -> StreamingResponse:
        """Tie the fleet to this connection: when it drops, everything stops."""

        async def stay() -> AsyncIterator[bytes]:
            async with self._desk.attached():
                yield _line({"type": "attached"})
                await self._desk.unless_closing(_gone(request))

        return StreamingResponse(stay(), media_type=NDJSON)

    async def up(self, body: UpRequest, request: Request) -> StreamingResponse:
        """Start the services and their dependencies."""
        return self._run(request, body)

    async def start(self, body: StartRequest, request: Request) -> StreamingResponse:
        """Start services that do not run."""
        return self._run(request, body)

    async def restart(self, body: RestartRequest, request: Request) -> StreamingResponse:
        """Replace all instances of services."""
        return self._run(request, body)

    async def scale(self, body: ScaleRequest, request: Request) -> StreamingResponse:
        """Have so many instances of services."""
        return self._run(request, body)

    async def stop(self, body: StopRequest, request: Request) -> StreamingResponse:
        """Stop services, or everything and then the daemon."""
        return self._run(request, body)

    async def wait(self, body: WaitRequest, request: Request) -> StreamingResponse:
        """Wait until services are in a state."""
        return self._run(request, body)

    async def cancel(self, number: str) -> Response:
        """Interrupt an operation; its own stream tells how it ended."""
        if not self._desk.cancel(number):
            return JSONResponse({"error": f"no operation {number}"}, status_code=404)
        return Response(status_code=204)

    def _run(self, request: Request, body: BaseModel) -> StreamingResponse:
        """Carry out an operation and stream its messages; a caller that goes away cancels it."""
        operation = self._desk.carry_out(body)
        gone = asyncio.ensure_future(_gone(request))
        gone.add_done_callback(lambda gone: None if gone.cancelled() else operation.cancel())
        return StreamingResponse(_messages(operation, gone), media_type=NDJSON)


async def _messages(operation: Operation, gone: asyncio.Future[None]) -> AsyncIterator[bytes]:
    try:
        async for message in operation.messages():
            yield _line(message)
    finally:
        gone.cancel()
        operation.cancel()  # of no effect when it has ended


async def _gone(request: Request) -> None:
    """Return when the caller has dropped the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _unknown_service(_: Request, error: Exception) -> JSONResponse:
    nearest = error.nearest if isinstance(error, UnknownService) else None
    return JSONResponse({"error": str(error), "nearest": nearest}, status_code=404)


async def _wrong_use(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
