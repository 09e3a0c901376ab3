"""Reading an HTTP/1.1 response from pieces of any size: no socket, no clock."""

from msctl.errors import MsctlError

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Callable

_CONTINUE, _SWITCHING, _OK = 100, 101, 200
_BODILESS = frozenset({204, 304})
_DIGITS = {10: b"0123456789", 16: b"0123456789abcdefABCDEF"}
_HEAD_LIMIT = 1 << 20


class BrokenResponse(MsctlError):
    """The peer ended a response early, or what it sent is not HTTP."""


class ResponseHead:
    """Status line and header fields, in the order they came."""

    __slots__ = ("headers", "reason", "status", "version")

    def __init__(
        self,
        status: int,
        reason: str,
        headers: tuple[tuple[str, str], ...],
        version: str = "HTTP/1.1",
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.version = version

    def header(self, name: str) -> str | None:
        """Return the first field of this name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class ResponseReader:
    """Takes bytes as they arrive and gives back the head, then the body without its framing.

    `head` is None until it is complete; interim responses (1xx) are skipped. `complete` says
    that the response has ended; bytes after that are ignored.
    """

    def __init__(self, method: str) -> None:
        self.head: ResponseHead | None = None
        self._bodiless = method == "HEAD"
        self._buffer = bytearray()
        self._body = bytearray()
        self._remaining = 0
        self._step: Callable[[], bool] | None = self._read_head
        """What reads the next bytes, true when more of them can be read; None at the end."""
        self._until_close = False

    @property
    def complete(self) -> bool:
        """Whether the whole response has arrived."""
        return self._step is None

    @property
    def pending(self) -> bool:
        """Whether body bytes wait to be taken."""
        return bool(self._body)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; empty ones mean that the peer has closed.

        Raises BrokenResponse when the bytes are no HTTP or the end comes too early.
        """
        self._buffer += data
        while self._step is not None and self._step():
            pass
        if data or self.complete:
            return
        if not self._until_close:
            where = "in the middle of" if self.head else "before"
            raise BrokenResponse(f"the connection was closed {where} the response")
        self._step = None

    def take(self) -> bytes:
        """Return the body bytes that arrived since the last call."""
        body = bytes(self._body)
        self._body.clear()
        return body

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise BrokenResponse("the response's head is too long")
            return False
        head = _parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        if _CONTINUE <= head.status < _OK and head.status != _SWITCHING:
            return True
        self.head = head
        self._step = self._body_step(head)
        return True

    def _body_step(self, head: ResponseHead) -> "Callable[[], bool] | None":
        if self._bodiless or head.status in _BODILESS:
            return None
        if (head.header("transfer-encoding") or "").lower() == "chunked":
            return self._read_chunk_size
        length = head.header("content-length")
        if length is None:
            self._until_close = True
            return self._read_rest
        self._remaining = _number(length.encode(), 10, "Content-Length")
        return self._read_length if self._remaining else None

    def _read_length(self) -> bool:
        self._move(self._remaining)
        if self._remaining == 0:
            self._step = None
        return False

    def _read_rest(self) -> bool:
        self._move(len(self._buffer))
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._remaining = _number(line.partition(b";")[0].strip(), 16, "chunk size")
        self._step = self._read_chunk if self._remaining else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._move(self._remaining)
        if self._remaining:
            return False
        self._step = self._read_chunk_end
        return True

    def _read_chunk_end(self) -> bool:
        line = self._line()
        if line:
            raise BrokenResponse("a chunk is longer than it says")
        if line is not None:
            self._step = self._read_chunk_size
        return line is not None

    def _read_trailer(self) -> bool:
        line = self._line()
        if line == b"":
            self._step = None
        return line is not None

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _move(self, limit: int) -> None:
        piece = self._buffer[:limit]
        self._body += piece
        del self._buffer[: len(piece)]
        self._remaining -= len(piece)


def _number(text: bytes, base: int, what: str) -> int:
    # int() alone would take a sign, white space, underscores and 0x as well.
    if not text or text.strip(_DIGITS[base]):
        raise BrokenResponse(f"bad {what}: {text!r}")
    return int(text, base)


def _parse_head(raw: bytes) -> ResponseHead:
    first, *lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
        raise BrokenResponse(f"not an HTTP response: {first[:80]!r}")
    fields = (line.partition(":") for line in lines)
    headers = tuple((name, value.strip()) for name, _, value in fields)
    return ResponseHead(int(status), reason, headers, version)
