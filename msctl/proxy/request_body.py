"""A request's body on its way to an instance, and again to another one if need be."""

import asyncio
from collections.abc import Callable
from typing import Final

from msctl.clock import Clock
from msctl.proxy.body import BodyWriter, body_reader
from msctl.proxy.faults import BadMessage, StreamLost
from msctl.proxy.framing import BodyKind, Framing
from msctl.proxy.interrupt import Cause, Interrupted
from msctl.proxy.stream import Stream

REPLAY_LIMIT: Final = 65536
"""Bytes of content; a longer body is sent once only (router.md, Retries)."""

_DISCARD_LIMIT: Final = 262144
_DISCARD_TIME: Final = 1.0


class RequestBody:
    """Reads the body from the client as fast as the instance takes it.

    `received_at` is when its last byte came, on the clock; `starving` is true while an
    instance has got all there is and the client owes the rest.
    """

    def __init__(self, client: Stream, framing: Framing, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._reader = body_reader(framing)
        self._writer = BodyWriter(chunked=framing.kind is BodyKind.CHUNKED)
        self._kept = bytearray()
        self.replayable = True
        self.received_at = clock.now()
        self.starving = False
        self.fault: BadMessage | None = None
        """What is wrong with it, if anything is."""
        self.on_piece: Callable[[], None] | None = None
        """Is told of every piece that comes from the client."""

    @property
    def complete(self) -> bool:
        """All of it has been read from the client."""
        return self._reader.done

    @property
    def begun(self) -> bool:
        """Some of it has been read from the client."""
        return bool(self._kept) or not self.replayable

    def begin(self) -> bytes:
        """Return what an attempt can send at once: all that has been read so far, and more.

        Raises Interrupted (CLIENT_FAULT).
        """
        replay = self._writer.encode(bytes(self._kept))
        return replay + self._receive()

    async def pump(self, upstream: Stream) -> None:
        """Send the rest as it comes; returns early when either side is gone.

        Raises Interrupted (CLIENT_FAULT).
        """
        while not self.complete:
            try:
                await upstream.drain()
                piece = self._receive() or await self._wait()
                upstream.write(piece)
            except StreamLost:
                return  # whoever reads the response sees what became of the instance
            if self._client.ended and not self.complete:
                return  # the client's connection says so to the exchange

    async def discard(self) -> bool:
        """Read away what the client still sends of it; True if that was all, and not much."""
        discarded = 0
        try:
            async with asyncio.timeout(_DISCARD_TIME):
                while not self.complete and not self._client.ended:
                    data = self._reader.take(self._client.buffer)
                    discarded += len(data)
                    if discarded > _DISCARD_LIMIT:
                        return False
                    if not data and not self.complete:
                        await self._client.more()
        except (TimeoutError, BadMessage):
            return False
        return self.complete

    async def _wait(self) -> bytes:
        self.starving = True
        try:
            await self._client.more()
        finally:
            self.starving = False
        return self._receive()

    def _receive(self) -> bytes:
        """Take what has come from the client; returns it as it goes to the instance."""
        was_complete = self.complete
        try:
            data = self._reader.take(self._client.buffer)
        except BadMessage as fault:
            self.fault = fault
            raise Interrupted(Cause.CLIENT_FAULT) from fault
        self._client.resume_reading()  # also without a body: only a reader sees a close
        if data:
            self.received_at = self._clock.now()
            self._keep(data)
            if self.on_piece is not None:
                self.on_piece()
        encoded = self._writer.encode(data)
        if not self.complete:
            return encoded
        if not was_complete:
            self.received_at = self._clock.now()
        return encoded + self._writer.finish(self._reader.trailers)

    def _keep(self, data: bytes) -> None:
        if self.replayable and len(self._kept) + len(data) <= REPLAY_LIMIT:
            self._kept += data
        else:
            self.replayable = False
            self._kept.clear()
