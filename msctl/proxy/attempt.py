"""One attempt of a call on one instance: connect, send, read the response's head."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from msctl.core.lease import Lease
from msctl.core.outcome import Outcome
from msctl.proxy.context import ProxyContext, run_hook
from msctl.proxy.faults import BadMessage, StreamLost, UpstreamFailed
from msctl.proxy.head import HeadScanner, RequestHead, ResponseHead, parse_response
from msctl.proxy.interrupt import Cause, Interrupted, Interrupts
from msctl.proxy.relay import breaks_off
from msctl.proxy.request_body import RequestBody
from msctl.proxy.stream import BUFFER_LIMIT
from msctl.proxy.upstream import UpstreamConnection

SLOW_AFTER: Final = 1.0
"""Seconds without a byte after which the instance's health is looked at (router.md)."""

SHORT_WAIT: Final = 0.05
"""Seconds that a head waits for a short body; longer would hold up one that trickles in."""

_SWITCHING: Final = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What an attempt sends, and whom it tells of responses that come before the real one."""

    request: RequestHead
    body: RequestBody
    head: Callable[[], bytes]
    """Renders the head with what is left of the time at this moment."""
    on_informational: Callable[[ResponseHead], None]


class Attempt:
    """Owns the lease, the connection and the task that sends the body; `close` ends all three.

    The response's head comes from `run`; after that `connection` is for whoever relays the
    body, until `close`.
    """

    def __init__(self, proxy: ProxyContext, lease: Lease, interrupts: Interrupts) -> None:
        self.lease = lease
        self._upstream: UpstreamConnection | None = None
        self._proxy = proxy
        self._interrupts = interrupts
        self._age = 0.0
        self._pump: asyncio.Task[None] | None = None
        self._slow: asyncio.TimerHandle | None = None

    def adopt(self, upstream: UpstreamConnection, age: float) -> None:
        """Go on with a request that was sent whole on this connection, `age` seconds ago."""
        self._upstream, self._age = upstream, age

    @property
    def connected(self) -> bool:
        """Whether the instance may have got something of the request."""
        return self._upstream is not None

    @property
    def connection(self) -> UpstreamConnection:
        """The connection to the instance; only there after `run` and before `close`."""
        if self._upstream is None:
            raise RuntimeError("this attempt has no connection")
        return self._upstream

    async def run(self, outgoing: Outgoing) -> ResponseHead:
        """Return the head of the final response; raises UpstreamFailed, Interrupted."""
        instance = self.lease.instance
        slow_after = max(0.0, SLOW_AFTER - self._age)
        self._slow = asyncio.get_running_loop().call_later(slow_after, self._report_slow)
        remove = self._proxy.unanswered.add(instance, lambda: self._interrupts.fire(Cause.LOST))
        try:
            if self._upstream is None:
                self._upstream = await self._proxy.pool.acquire(instance, fresh=self.lease.fresh)
                self._send(self._upstream, outgoing)
            else:
                outgoing.body.begin()  # has been sent
                self._note_byte(self._upstream)
            head = await self._read_head(self._upstream, outgoing)
            await self._see_it_whole(self._upstream, head)
            return head
        finally:
            remove()
            self._slow.cancel()

    async def close(self, *, reuse: bool = False, clean: bool = False) -> None:
        """Give everything back.

        The connection is kept when it may be used again, closed in peace when both sides
        have said all they had to say (`clean`), and cut otherwise.
        """
        self.lease.release(self._proxy.clock.now())
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            if reuse:
                self._proxy.pool.release(upstream)
            elif clean:
                upstream.close()
            else:
                upstream.abort()
        pump, self._pump = self._pump, None
        if pump is not None and not pump.done():
            pump.cancel()
            await asyncio.wait((pump,))

    def _send(self, upstream: UpstreamConnection, outgoing: Outgoing) -> None:
        first = outgoing.body.begin()
        try:
            upstream.write(outgoing.head() + first)
        except StreamLost as error:
            raise self._closed(upstream) from error
        if not outgoing.body.complete:
            self._pump = asyncio.create_task(self._send_rest(upstream, outgoing.body))

    async def _send_rest(self, upstream: UpstreamConnection, body: RequestBody) -> None:
        try:
            await body.pump(upstream)
        except Interrupted as stop:
            self._interrupts.fire(stop.cause)

    async def _read_head(self, upstream: UpstreamConnection, outgoing: Outgoing) -> ResponseHead:
        scanner = HeadScanner()
        try:
            while True:
                raw = scanner.take(upstream.buffer)
                if raw is None:
                    if upstream.ended:
                        raise self._closed(upstream)
                    await upstream.more()
                    self._note_byte(upstream)
                    continue
                head = parse_response(raw, outgoing.request.method)
                if not head.informational:
                    break
                outgoing.on_informational(head)
        except BadMessage as fault:
            raise UpstreamFailed(Outcome.MALFORMED, fault.detail) from fault
        if head.status == _SWITCHING and outgoing.request.upgrade is None:
            raise UpstreamFailed(Outcome.MALFORMED, "101 for a request that asked for no upgrade")
        return head

    async def _see_it_whole(self, upstream: UpstreamConnection, head: ResponseHead) -> None:
        """Have a short answer here before any of it is relayed; raises UpstreamFailed (RESET).

        Servers write the head and the body one after the other. An instance that is killed
        in between has answered nothing, and another one may be asked.
        """
        size = head.framing.length
        if len(upstream.buffer) < size < BUFFER_LIMIT:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHORT_WAIT):
                    while len(upstream.buffer) < size and not upstream.ended:
                        await upstream.more()
        if breaks_off(upstream, head):
            raise UpstreamFailed(Outcome.RESET, "closed before its answer was whole")

    def _closed(self, upstream: UpstreamConnection) -> UpstreamFailed:
        if upstream.buffer:
            return UpstreamFailed(Outcome.MALFORMED, "the response ended within its head")
        if upstream.reused:
            return UpstreamFailed(Outcome.STALE_CONNECTION, "closed between two requests")
        return UpstreamFailed(Outcome.RESET, "closed before it answered")

    def _note_byte(self, upstream: UpstreamConnection) -> None:
        if upstream.buffer and self._slow is not None:
            self._slow.cancel()

    def _report_slow(self) -> None:
        run_hook(self._proxy.on_slow, self.lease.instance)
