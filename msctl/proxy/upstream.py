"""Connections to instances, kept for a moment between requests."""

import asyncio
import select
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from msctl.clock import Clock
from msctl.core.outcome import Outcome
from msctl.model import ServiceInstance
from msctl.proxy.faults import UpstreamFailed
from msctl.proxy.stream import Stream

KEEP_IDLE: Final = 4.0
"""Seconds; uvicorn closes after 5, and a request must not cross that close on its way."""

JUST_NOW: Final = 0.002
"""Seconds after its last response in which a connection is trusted to be in order still.

Asking the kernel costs a twelfth of a small request. Under load, when that counts, connections
rest for less than this; the loop tells of their end on its next turn at the latest.
"""

CONNECT_TIMEOUT: Final = 1.0
"""Seconds (router.md, What counts)."""

InstanceKey = tuple[str, int]
"""Id and generation: a connection to a dead process is no connection to its successor."""


def key_of(instance: ServiceInstance) -> InstanceKey:
    """Return what tells this process from all others."""
    return instance.id, instance.generation


class Flight(Protocol):
    """A request on the express lane that waits for its response."""

    def answered(self, data: bytes) -> None:
        """Take what has come of the response."""
        ...

    def out_of_order(self) -> None:
        """Take in that the connection will bring no more."""
        ...


class UpstreamConnection(Stream):
    """One connection to one instance."""

    def __init__(self, instance: ServiceInstance, pool: "UpstreamPool") -> None:
        super().__init__()
        self.instance = instance
        self.reused = False
        """It has carried a request before this one."""
        self.idle_since: float | None = None
        """When it was put back into the pool; None while a call has it."""
        self.poll: select.poll | None = None
        """Asks the kernel whether there is something to read; made when first needed."""
        self.flight: Flight | None = None
        """Who waits for the response on the express lane, if anyone does there."""
        self._pool = pool

    def send(self, data: bytes) -> None:
        """Send what is known to be welcome: the connection was just found in order."""
        self._transport.write(data)  # type: ignore[union-attr]  # it came from the pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter the pool's books, which close what is left open in the end."""
        super().connection_made(transport)
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand it on, or drop the connection when it speaks unasked."""
        if self.flight is not None:
            self.flight.answered(data)
            return
        super().data_received(data)
        if self.idle_since is not None:
            self._pool.drop_connection(self)

    def eof_received(self) -> bool:
        """Drop the connection when its instance closes it between two requests."""
        super().eof_received()
        if self.flight is not None:
            self.flight.out_of_order()
        if self.idle_since is not None:
            self._pool.drop_connection(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool's books."""
        super().connection_lost(exc)
        if self.flight is not None:
            self.flight.out_of_order()
        self._pool.closed(self)

    def is_silent(self) -> bool:
        """Whether nothing waits to be read, not even in the kernel: an end shows up as input."""
        if self.ended or self.buffer or self._transport is None or self._transport.is_closing():
            return False
        if self.poll is None:
            self.poll = select.poll()
            self.poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not self.poll.poll(0)

    def is_self_connection(self) -> bool:
        """Whether it reaches itself: TCP allows that for a free port of the ephemeral range."""
        if self._transport is None:
            return False
        info = self._transport.get_extra_info
        return info("sockname") is not None and info("sockname") == info("peername")


class KeptConnections(deque["UpstreamConnection"]):
    """Connections to one instance that no call needs now, the one that rested longest first.

    They are used in turn. If the one used last were taken first, its response could overtake
    those that came in before it: a loop that is busy looks first at the connections that it
    has just served.
    """

    def __init__(self, now: float) -> None:
        super().__init__()
        self.spare = 0
        """As many as were left over at every moment since `spare_since`."""
        self.spare_since = now

    def take(self) -> UpstreamConnection:
        """Lend the first one out."""
        connection = self.popleft()
        connection.idle_since = None
        if len(self) < self.spare:  # noqa: PLR1730 - this is the hot path, and `min` a call
            self.spare = len(self)
        return connection

    def forget(self, connection: UpstreamConnection) -> None:
        """Leave a connection out that is to be closed."""
        if connection in self:
            self.remove(connection)
            self.spare = min(self.spare, len(self))

    def shrink(self, now: float) -> list[UpstreamConnection]:
        """Give up those that rest for 4 s, and those that nobody needed in the last 4 s."""
        surplus = sum(now - _since(one) >= KEEP_IDLE for one in self)
        counted = now - self.spare_since >= KEEP_IDLE
        if counted:
            surplus = max(surplus, self.spare)
        going = [self.popleft() for _ in range(surplus)]
        if counted:
            self.spare, self.spare_since = len(self), now
        self.spare = min(self.spare, len(self))
        return going


class UpstreamPool:
    """Owns every upstream connection; lends them out and keeps the idle ones 4 s.

    `is_current` tells whether an instance, in this generation, still takes requests; a
    connection to one that does not is never kept.
    """

    def __init__(self, clock: Clock, is_current: Callable[[ServiceInstance], bool]) -> None:
        self._clock = clock
        self._is_current = is_current
        self._open: set[UpstreamConnection] = set()
        self._idle: dict[InstanceKey, KeptConnections] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._all_closed: asyncio.Future[None] | None = None

    async def acquire(self, instance: ServiceInstance, *, fresh: bool) -> UpstreamConnection:
        """Return a connection that is the caller's until `release` or `abort`.

        `fresh` never takes a kept one. Raises UpstreamFailed (NOT_SENT).
        """
        if not fresh and (kept := self._take_idle(instance)) is not None:
            return kept
        if instance.port is None:
            raise UpstreamFailed(Outcome.NOT_SENT, f"{instance.id} has no port")
        connection = UpstreamConnection(instance, self)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.create_connection(lambda: connection, instance.host, instance.port)
        except OSError as error:  # a timeout is one
            self._abandon(connection)
            refused = isinstance(error, ConnectionRefusedError)
            raise UpstreamFailed(Outcome.NOT_SENT, str(error), refused=refused) from error
        except BaseException:
            self._abandon(connection)
            raise
        if connection.is_self_connection():
            connection.abort()
            raise UpstreamFailed(Outcome.NOT_SENT, "nothing listens there", refused=True)
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back whose response has been read to its end."""
        if not self._is_current(connection.instance) or not connection.is_silent():
            connection.close()
            return
        connection.resume_reading()
        self.put_back(connection, key_of(connection.instance), self._clock.now())

    def take_ready(
        self, key: InstanceKey, now: float, *, repeatable: bool
    ) -> UpstreamConnection | None:
        """Return the next kept connection if it is good, None if that takes a closer look.

        A `repeatable` request may get one that has ended this moment: it is sent again on a
        fresh one then (router.md, What counts).
        """
        kept = self._idle.get(key)
        if not kept:
            return None
        connection = kept[0]
        poll, since = connection.poll, connection.idle_since
        if poll is None or since is None or now - since >= KEEP_IDLE or connection.buffer:
            return None
        if (now - since >= JUST_NOW or not repeatable) and poll.poll(0):
            return None  # it has ended, or speaks unasked, and the loop has not told yet
        return kept.take()

    def put_back(self, connection: UpstreamConnection, key: InstanceKey, now: float) -> None:
        """Take a connection back whose response came whole, from an instance in order."""
        kept = self._idle.get(key)
        if kept is None:
            kept = self._idle[key] = KeptConnections(now)
        connection.reused = True
        connection.idle_since = now
        kept.append(connection)
        if self._sweep is None:
            self._sweep_after(KEEP_IDLE)

    def drop(self, key: InstanceKey) -> None:
        """Close the idle connections of an instance that takes no more requests."""
        for connection in self._idle.pop(key, ()):
            connection.idle_since = None
            connection.close()

    def drop_connection(self, connection: UpstreamConnection) -> None:
        """Close one idle connection."""
        kept = self._idle.get(key_of(connection.instance))
        if kept is not None:
            kept.forget(connection)
        connection.idle_since = None
        connection.close()

    async def close(self) -> None:
        """Close everything, and wait until it is closed."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle.clear()
        for connection in tuple(self._open):
            connection.idle_since = None
            connection.abort()
        if self._open:
            self._all_closed = asyncio.get_running_loop().create_future()
            await self._all_closed
        await asyncio.sleep(0)  # for the abandoned ones, which the loop closes on its next turn

    def opened(self, connection: UpstreamConnection) -> None:
        """Note a connection that came to be."""
        self._open.add(connection)

    def closed(self, connection: UpstreamConnection) -> None:
        """Note a connection that is no more."""
        self._open.discard(connection)
        if connection.idle_since is not None:
            self.drop_connection(connection)
        if not self._open and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)

    def idle(self, instance: ServiceInstance) -> int:
        """How many connections are kept for the instance."""
        return len(self._idle.get(key_of(instance), ()))

    def __repr__(self) -> str:
        kept = sum(map(len, self._idle.values()))
        return f"<UpstreamPool open={len(self._open)} idle={kept}>"

    def _abandon(self, connection: UpstreamConnection) -> None:
        """Forget a connection that nobody got: uvloop closes it without saying so."""
        connection.abort()
        self.closed(connection)

    def _take_idle(self, instance: ServiceInstance) -> UpstreamConnection | None:
        """Return the next kept connection that is still good; those before it are dropped."""
        oldest = self._clock.now() - KEEP_IDLE
        kept = self._idle.get(key_of(instance))
        while kept:
            connection = kept[0]
            if _since(connection) > oldest and connection.is_silent():
                return kept.take()
            self.drop_connection(connection)
        return None

    def _sweep_after(self, delay: float) -> None:
        self._sweep = asyncio.get_running_loop().call_later(delay, self._drop_unneeded)

    def _drop_unneeded(self) -> None:
        self._sweep = None
        now = self._clock.now()
        for key, kept in tuple(self._idle.items()):
            for connection in kept.shrink(now):
                connection.idle_since = None
                connection.close()
            if not kept:
                del self._idle[key]
        if self._idle:
            oldest = min(_since(kept[0]) for kept in self._idle.values())
            self._sweep_after(max(0.01, oldest + KEEP_IDLE - now))


def _since(connection: UpstreamConnection) -> float:
    """Return since when a kept connection rests."""
    assert connection.idle_since is not None, "it is kept"
    return connection.idle_since
