"""One request and its response over one connection."""

import os
from _socket import SHUT_RDWR, socket
from _thread import start_new_thread

from msctl.client.response import BrokenResponse, ResponseHead, ResponseReader

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

_PIECE = 1 << 16
_SILENT = "the daemon gives no answer; is it stopped? .msctl/run.json has its pid"

Header = tuple[str, str]


class StreamedBody:
    """A request body that is read from a descriptor while it is sent.

    `length` in bytes where it is known (a file), else None (a pipe: sent chunked).
    `beginning` was read from the descriptor already.
    """

    __slots__ = ("beginning", "descriptor", "length")

    def __init__(self, descriptor: int, length: int | None = None, beginning: bytes = b"") -> None:
        self.descriptor = descriptor
        self.length = length
        self.beginning = beginning


class Exchange:
    """A request under way.

    The body is sent by a thread of its own when it is streamed, so that a response that
    comes early, or one that answers piece by piece, is read all the same. `fileno()` lets
    the caller wait for bytes, `fill()` reads once.
    """

    def __init__(self, connection: socket, method: str) -> None:
        self._connection = connection
        self._reader = ResponseReader(method)
        self.send_error: OSError | None = None
        """Why the request's body could not be read to its end."""

    def start(
        self,
        method: str,
        target: str,
        headers: "Iterable[Header]",
        body: bytes | StreamedBody | None,
    ) -> None:
        """Send the request; a streamed body goes on being sent in the background."""
        framing = _framing(method, body)
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in (*headers, *framing))]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        if isinstance(body, StreamedBody):
            self._send(head)
            start_new_thread(self._pump, (body,))
        else:
            self._send(head + (body or b""))

    def fileno(self) -> int:
        """Return the connection's descriptor, to wait until `fill` can read."""
        return self._connection.fileno()

    @property
    def head(self) -> ResponseHead | None:
        """The response's head; None until it has arrived."""
        return self._reader.head

    @property
    def complete(self) -> bool:
        """Whether the whole response has arrived."""
        return self._reader.complete

    @property
    def drained(self) -> bool:
        """Whether the response is complete and all of it was taken."""
        return self._reader.complete and not self._reader.pending

    @property
    def ready(self) -> bool:
        """Whether `take` has something to give, or nothing more will come."""
        return self._reader.complete or self._reader.pending

    def fill(self) -> None:
        """Read once from the connection; raise BrokenResponse when it ends too early."""
        try:
            data = self._connection.recv(_PIECE)
        except ConnectionError as error:
            raise BrokenResponse(f"the connection broke: {error.strerror}") from error
        except TimeoutError as error:
            raise BrokenResponse(_SILENT) from error
        self._reader.feed(data)

    def take(self) -> bytes:
        """Return the body bytes that are here already, without waiting."""
        return self._reader.take()

    def read_head(self) -> ResponseHead:
        """Wait for the response's head."""
        while self._reader.head is None:
            self.fill()
        return self._reader.head

    def read_body(self) -> "Iterator[bytes]":
        """Yield the body, piece by piece as it arrives."""
        while True:
            if piece := self.take():
                yield piece
            if self.drained:
                return
            self.fill()

    def close(self) -> None:
        """Drop the connection; the peer sees it, a body still being sent is cut."""
        self._connection.close()

    def __enter__(self) -> "Self":
        """Use it as a context: leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        """Close the connection."""
        self.close()

    def _send(self, data: bytes) -> bool:
        try:
            self._connection.sendall(data)
        except OSError:
            return False  # the peer has had enough; its answer says why
        return True

    def _pump(self, body: StreamedBody) -> None:
        try:
            for piece in _pieces(body):
                if not self._send(piece):
                    return
        except OSError as error:
            self.send_error = error
            self._cut()

    def _cut(self) -> None:
        try:
            self._connection.shutdown(SHUT_RDWR)
        except OSError:
            return  # closed already


def _framing(method: str, body: bytes | StreamedBody | None) -> "Sequence[Header]":
    if body is None:
        # RFC 9110 §8.6: a method that may have a body says so when it has none.
        return [("Content-Length", "0")] if method in {"POST", "PUT", "PATCH"} else []
    length = len(body) if isinstance(body, bytes) else body.length
    return [("Transfer-Encoding", "chunked") if length is None else ("Content-Length", f"{length}")]


def _pieces(body: StreamedBody) -> "Iterator[bytes]":
    if body.length is None:
        for piece in _read(body):
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"
        return
    remaining = body.length
    for piece in _read(body):
        yield piece[:remaining]
        remaining -= len(piece)
        if remaining <= 0:
            return
    if remaining:
        raise OSError(f"the file is {remaining} bytes shorter than it was")


def _read(body: StreamedBody) -> "Iterator[bytes]":
    piece = body.beginning or os.read(body.descriptor, _PIECE)
    while piece:
        yield piece
        piece = os.read(body.descriptor, _PIECE)
