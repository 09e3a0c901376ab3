"""A connection with explicit flow control: the base of both sides of the proxy.

Input is kept in `buffer` and reading pauses when that is full, so a slow consumer stops
the peer instead of filling memory; `drain` waits while the peer does not take what was
written. Everything else happens in callbacks, which is where a path without a task can
hook in.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Final, cast

from msctl.proxy.faults import StreamLost

BUFFER_LIMIT: Final = 65536
"""Bytes of unread input above which reading pauses; room for a head of the longest kind."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_CLOSE_TIME: Final = 5.0
_DISCARD_PAUSE: Final = 1.0
_DISCARD_TOTAL: Final = 10.0


class Stream(asyncio.Protocol):
    """One connection; at most one task reads from it and at most one writes to it."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.eof = False
        """The peer will send no more."""
        self.lost = False
        """The connection is gone, in both directions."""
        self.error: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._writable = True
        self._input: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._last_call: asyncio.TimerHandle | None = None

    @property
    def ended(self) -> bool:
        """No more input will come; what is in the buffer is all."""
        return self.eof or self.lost

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep input for whoever reads; pause when there is too much of it."""
        self.buffer += data
        if len(self.buffer) >= BUFFER_LIMIT and self._reading:
            self.pause_reading()
        self.wake()

    def eof_received(self) -> bool:
        """Note the end of input; the other direction stays open."""
        self.eof = True
        self.wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of everything."""
        self.lost = True
        self.error = exc
        if self._last_call is not None:
            self._last_call.cancel()
            self._last_call = None
        self.wake()
        self._wake_writer()

    def pause_writing(self) -> None:
        """Note that the peer takes nothing for now."""
        self._writable = False

    def resume_writing(self) -> None:
        """Note that the peer takes more."""
        self._writable = True
        self._wake_writer()

    # What the proxy calls

    def pause_reading(self) -> None:
        """Stop taking input from the kernel."""
        self._reading = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take input again, unless there is too much of it still."""
        if self._reading or len(self.buffer) >= BUFFER_LIMIT:
            return
        if self._transport is not None and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    async def more(self) -> None:
        """Wait until there is more input than now, or none will come."""
        if self.ended:
            return
        self.resume_reading()
        self._input = asyncio.get_running_loop().create_future()
        try:
            await self._input
        finally:
            self._input = None

    def wake(self) -> None:
        """Let the reader look again."""
        if self._input is not None and not self._input.done():
            self._input.set_result(None)

    def write(self, data: bytes) -> None:
        """Send; raises StreamLost when the connection is gone."""
        if self.lost or self._transport is None or self._transport.is_closing():
            raise StreamLost("the connection is gone")
        if data:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written; raises StreamLost."""
        if not self._writable and not self.lost:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None
        if self.lost:
            raise StreamLost("the connection is gone")

    def write_eof(self) -> None:
        """Tell the peer that no more will come; the other direction stays open."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # it broke a moment ago
                self._transport.write_eof()

    def close(self, *, within: float = _CLOSE_TIME) -> None:
        """Close once what was written has been taken; after `within` seconds in any case."""
        if self._transport is None or self.lost or self._last_call is not None:
            return
        if self._transport.get_write_buffer_size():
            self._last_call = asyncio.get_running_loop().call_later(within, self.abort)
        self._transport.close()

    def abort(self) -> None:
        """Close now, in a way that the peer cannot take for a clean end."""
        if self._transport is None or self.lost:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            with contextlib.suppress(OSError, ValueError):  # closed, but not yet reported so
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    async def discard_input(self) -> None:
        """Read the peer's input away for a moment, after the last that it will get.

        Closing with input unread would reset the connection, and the peer might lose the
        answer it has not read yet (RFC 9112 §9.6).
        """
        self.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_TOTAL):
                while not self.ended:
                    self.buffer.clear()
                    async with asyncio.timeout(_DISCARD_PAUSE):
                        await self.more()

    def _wake_writer(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
