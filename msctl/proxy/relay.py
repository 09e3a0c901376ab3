"""A response on its way to the client, as fast as the client takes it."""

from collections.abc import Callable
from typing import Final, Protocol

from msctl.core.outcome import Outcome
from msctl.proxy.body import BodyReader, BodyWriter, body_reader
from msctl.proxy.faults import BadMessage, UpstreamFailed
from msctl.proxy.framing import CHUNKED, UNTIL_CLOSE, BodyKind, Framing
from msctl.proxy.head import ResponseHead
from msctl.proxy.stream import Stream

_STREAMED: Final = (BodyKind.CHUNKED, BodyKind.UNTIL_CLOSE)


class Touched(Protocol):
    """Is told of every piece that moves."""

    def touch(self) -> None:
        """Note that something moved."""
        ...


def client_framing(response: ResponseHead, minor: int) -> Framing:
    """Return how the body is delimited for a client of that version.

    A body that ends with the instance's connection becomes chunked: the client then can
    tell its end from a break, and keeps its own connection.
    """
    if response.framing.kind in _STREAMED:
        return CHUNKED if minor == 1 else UNTIL_CLOSE
    return response.framing


def breaks_off(upstream: Stream, response: ResponseHead) -> bool:
    """Whether the connection has ended before the body that begins in its buffer did.

    Nothing is taken from the buffer. A body that breaks the protocol is no case of this.
    """
    if not upstream.ended:
        return False
    reader, rest = body_reader(response.framing), bytearray(upstream.buffer)
    try:
        reader.take(rest)
    except BadMessage:
        return False
    if response.framing.kind is BodyKind.UNTIL_CLOSE:
        return upstream.error is not None
    return not reader.done


class ResponseBody:
    """The body of one response, read from the instance and written to the client."""

    def __init__(self, upstream: Stream, response: ResponseHead, framing: Framing) -> None:
        self._upstream = upstream
        self._reader: BodyReader = body_reader(response.framing)
        self._writer = BodyWriter(chunked=framing.kind is BodyKind.CHUNKED)
        self._persistent = response.minor == 1 and b"close" not in response.options
        self._until_close = response.framing.kind is BodyKind.UNTIL_CLOSE

    @property
    def complete(self) -> bool:
        """Its end has been read."""
        return self._reader.done

    @property
    def leaves_connection_usable(self) -> bool:
        """Whether the instance's connection may carry another request."""
        return self.complete and self._persistent and not self._until_close

    def first(self) -> bytes:
        """Return what is here already, so that it goes out in one write with the head.

        Raises UpstreamFailed (BROKEN_BODY).
        """
        return self._take()

    async def relay(self, client: Stream, watch: Touched) -> None:
        """Write the rest; raises UpstreamFailed (BROKEN_BODY), StreamLost for the client.

        Every piece goes out as it comes: an event stream must not wait for company.
        """
        while not self.complete:
            await client.drain()
            piece = self._take()
            if not piece and not self.complete:
                await self._upstream.more()
                piece = self._take()
            watch.touch()
            client.write(piece)

    def discard(self) -> bool:
        """Take what is here for nobody; True when the connection may be used again."""
        try:
            self._take()
        except UpstreamFailed:
            return False
        return self.leaves_connection_usable

    def _take(self) -> bytes:
        try:
            data = self._reader.take(self._upstream.buffer)
            if not data and not self.complete and self._upstream.ended:
                self._end()
        except BadMessage as fault:
            raise UpstreamFailed(Outcome.BROKEN_BODY, fault.detail) from fault
        encoded = self._writer.encode(data)
        return encoded + self._writer.finish(self._reader.trailers) if self.complete else encoded

    def _end(self) -> None:
        if self._upstream.error is not None:
            raise BadMessage("the connection broke")  # which a close-delimited body must not hide
        self._reader.end()


async def copy(source: Stream, sink: Stream, touch: Callable[[], None]) -> None:
    """Pass bytes on until the source ends, then end the sink's input; for tunnels.

    Raises StreamLost when the sink is gone.
    """
    while True:
        if source.buffer:
            data = bytes(source.buffer)
            source.buffer.clear()
            touch()
            sink.write(data)
            await sink.drain()
        elif source.lost:
            sink.abort()
            return
        elif source.eof:
            sink.write_eof()
            return
        else:
            await source.more()
