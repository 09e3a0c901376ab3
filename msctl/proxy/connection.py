"""A client's connection: reads its requests one after the other and has each answered."""

import asyncio
import contextlib
import logging
from typing import Final, Protocol

from msctl.core.outcome import Reason
from msctl.proxy.client import ClientStream
from msctl.proxy.context import ProxyContext
from msctl.proxy.destination import Resolver
from msctl.proxy.exchange import Exchange
from msctl.proxy.faults import BadMessage, StreamLost
from msctl.proxy.hangup import HangupWatch
from msctl.proxy.head import HeadScanner, RequestHead, parse_request
from msctl.proxy.meters import NO_SERVICE
from msctl.proxy.problem import ProblemContext, problem, refusal_of

logger = logging.getLogger(__name__)

KEEP_ALIVE: Final = 300.0
"""Seconds between two requests; longer than any usual client keeps its side."""

HEAD_TIME: Final = 30.0
"""Seconds from the first byte of a head to its end."""

FLUSH_TIME: Final = 300.0
"""Seconds that a client may take for the end of its last answer."""


class Door(Protocol):
    """Where connections come in, and are counted."""

    def opened(self, connection: "ClientConnection") -> None:
        """Count a connection that came in."""
        ...

    def closed(self, connection: "ClientConnection") -> None:
        """Forget a connection of which nothing is left; its task ends with this."""
        ...


class ClientConnection(ClientStream):
    """One task serves the connection; requests are answered in order (router.md, HTTP).

    A client that ends its side of the connection while a request is under way counts as
    gone: it cannot be told from one that was killed. `resolve` says which service a request
    is for.
    """

    def __init__(self, proxy: ProxyContext, resolve: Resolver, door: Door) -> None:
        super().__init__()
        self._proxy = proxy
        self._resolve = resolve
        self._door = door
        self._scanner = HeadScanner()
        self._exchange: Exchange | None = None
        self._draining = False
        self._task: asyncio.Task[None] | None = None
        self._serving = False
        """The task has begun."""
        self._hangup: HangupWatch | None = None
        self._gone: asyncio.Future[None] | None = None
        self._resting = False
        """No task is needed between two requests, and there is none."""
        self._in_step = True
        """Nothing is unread that would make the kernel reset the connection on close."""

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._gone = asyncio.get_running_loop().create_future()
        self._door.opened(self)
        self.begin()

    def begin(self) -> None:
        """Have a task serve the connection."""
        self._serving = False
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def at_rest(self) -> bool:
        """Whether the task may end between two requests, and somebody else goes on."""
        return False

    def pause_reading(self) -> None:
        """Watch in another way for the client to leave, while its end of input stays unread."""
        super().pause_reading()
        if self.ended or self._transport is None:
            return
        if self._hangup is None:
            sock = self._transport.get_extra_info("socket")
            self._hangup = HangupWatch(sock.fileno(), self._client_gone)
        self._hangup.start()

    def resume_reading(self) -> None:
        """Read again; a close shows up as end of input."""
        super().resume_reading()
        if self._reading and self._hangup is not None:
            self._hangup.stop()

    def eof_received(self) -> bool:
        """Take the end of input for the end of the client's interest."""
        super().eof_received()
        if not self.tunnelled:
            self._client_gone()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way for this client."""
        super().connection_lost(exc)
        if self._hangup is not None:
            self._hangup.stop()
            self._hangup = None  # it refers to this connection, which nobody needs any more
        self._client_gone()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    # What the door calls

    def retire(self) -> None:
        """Let the request under way be the last; close at once when there is none."""
        self._draining = True
        self.persistent = False
        self.wake()

    async def cut(self) -> None:
        """End it now, whatever is under way, and wait until nothing is left."""
        if self._task is not None and not self._serving:
            await asyncio.sleep(0)  # cancelled before it begins it would give nothing back
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        else:
            await self._abort()

    # The task

    async def _serve(self) -> None:
        self._serving = True
        try:
            while await self._serve_one() and await self._flushed():
                if self.at_rest():
                    return
            await self._finish()
        except asyncio.CancelledError:
            await self._abort()
            raise
        except Exception:
            logger.exception("client connection failed", extra={"peer": self.peer})
            await self._abort()
        finally:
            if not self._resting:
                self._door.closed(self)

    async def _serve_one(self) -> bool:
        """Answer one request; False when it was the last."""
        try:
            request = await self._read_request()
        except BadMessage as fault:
            self._refuse(fault)
            return False
        if request is None:
            return False
        return await self.answer(
            request, Exchange(self._proxy, self, request, self._resolve(request))
        )

    async def answer(self, request: RequestHead, exchange: Exchange) -> bool:
        """Have one request answered; False when it was the last."""
        self.persistent = request.persistent and not self._draining
        self._exchange = exchange
        if self.ended:
            exchange.client_gone()
        try:
            await exchange.run()
        finally:
            self._exchange = None
        in_step = not self.lost and self.persistent and await exchange.body.discard()
        self._in_step = in_step or (exchange.body.complete and not self.buffer)
        return in_step and not self._draining

    async def _read_request(self) -> RequestHead | None:
        """Return the next request, None when there is none; raises BadMessage."""
        raw = self._scanner.take(self.buffer)
        if raw is None:
            raw = await self._wait_for_head()
        return None if raw is None else parse_request(raw)

    async def _wait_for_head(self) -> bytes | None:
        raw: bytes | None = None
        begun = False
        try:
            async with asyncio.timeout(KEEP_ALIVE) as limit:
                while raw is None:
                    if self.ended or (self._draining and not self.buffer):
                        return None
                    if self.buffer and not begun:
                        begun = True
                        limit.reschedule(asyncio.get_running_loop().time() + HEAD_TIME)
                    await self.more()
                    raw = self._scanner.take(self.buffer)
        except TimeoutError:
            if begun:
                raise BadMessage("the head did not come to its end", status=408) from None
        return raw

    def _refuse(self, fault: BadMessage) -> None:
        self.persistent = self._in_step = False
        meters = self._proxy.meters.service(NO_SERVICE)
        meters.refused(Reason.BAD_REQUEST, fault.status, 0.0)
        with contextlib.suppress(StreamLost):
            self.write(problem(refusal_of(fault), ProblemContext(close=True)))

    async def _flushed(self) -> bool:
        """Wait until the client has taken its answer: unread answers must not pile up."""
        try:
            async with asyncio.timeout(FLUSH_TIME):
                await self.drain()
        except (TimeoutError, StreamLost):
            self.abort()
            return False
        return True

    async def _finish(self) -> None:
        if not self._in_step and not self.lost:
            await self.discard_input()
        self.close(within=FLUSH_TIME)
        if self._gone is not None:
            await self._gone

    async def _abort(self) -> None:
        self.abort()
        if self._gone is not None:
            await self._gone

    def _client_gone(self) -> None:
        if self._exchange is not None:
            self._exchange.client_gone()
