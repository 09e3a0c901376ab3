"""Reading an HTTP/1.1 response from pieces of any size: no socket, no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from msctl.errors import MsctlError

_CONTINUE, _SWITCHING, _OK = 100, 101, 200
_BODILESS = frozenset({204, 304})
_DIGITS = {10: b"0123456789", 16: b"0123456789abcdefABCDEF"}
_HEAD_LIMIT = 1 << 20
_Step = Callable[[], bool]


class BrokenResponse(MsctlError):
    """The peer ended a response early, or what it sent is not HTTP."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status line and header fields, in the order they came."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    version: str = "HTTP/1.1"

    def header(self, name: str) -> str | None:
        """Return the first field of this name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class _Part(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    UNTIL_CLOSE = auto()
    COMPLETE = auto()


class ResponseReader:
    """Takes bytes as they arrive and gives back the head, then the body without its framing.

    `head` is None until it is complete; interim responses (1xx) are skipped. `complete` says
    that the response has ended; bytes after that are ignored.
    """

    def __init__(self, method: str) -> None:
        self.head: ResponseHead | None = None
        self._bodiless = method == "HEAD"
        self._part = _Part.HEAD
        self._buffer = bytearray()
        self._body = bytearray()
        self._remaining = 0
        self._steps: dict[_Part, _Step] = {
            _Part.HEAD: self._read_head,
            _Part.LENGTH: self._read_length,
            _Part.CHUNK_SIZE: self._read_chunk_size,
            _Part.CHUNK: self._read_chunk,
            _Part.CHUNK_END: self._read_chunk_end,
            _Part.TRAILERS: self._read_trailer,
            _Part.UNTIL_CLOSE: self._read_rest,
            _Part.COMPLETE: lambda: False,
        }

    @property
    def complete(self) -> bool:
        """Whether the whole response has arrived."""
        return self._part is _Part.COMPLETE

    @property
    def pending(self) -> bool:
        """Whether body bytes wait to be taken."""
        return bool(self._body)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; empty ones mean that the peer has closed.

        Raises BrokenResponse when the bytes are no HTTP or the end comes too early.
        """
        self._buffer += data
        while self._steps[self._part]():
            pass
        if data or self.complete:
            return
        if self._part is not _Part.UNTIL_CLOSE:
            where = "in the middle of" if self.head else "before"
            raise BrokenResponse(f"the connection was closed {where} the response")
        self._part = _Part.COMPLETE

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
        self._part = self._body_part(head)
        return True

    def _body_part(self, head: ResponseHead) -> _Part:
        if self._bodiless or head.status in _BODILESS:
            return _Part.COMPLETE
        if (head.header("transfer-encoding") or "").lower() == "chunked":
            return _Part.CHUNK_SIZE
        length = head.header("content-length")
        if length is None:
            return _Part.UNTIL_CLOSE
        self._remaining = _number(length.encode(), 10, "Content-Length")
        return _Part.LENGTH if self._remaining else _Part.COMPLETE

    def _read_length(self) -> bool:
        self._move(self._remaining)
        if self._remaining == 0:
            self._part = _Part.COMPLETE
        return False

    def _read_rest(self) -> bool:
        self._move(len(self._buffer))
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._remaining = _number(line.partition(b";")[0].strip(), 16, "chunk size")
        self._part = _Part.CHUNK if self._remaining else _Part.TRAILERS
        return True

    def _read_chunk(self) -> bool:
        self._move(self._remaining)
        if self._remaining:
            return False
        self._part = _Part.CHUNK_END
        return True

    def _read_chunk_end(self) -> bool:
        line = self._line()
        if line:
            raise BrokenResponse("a chunk is longer than it says")
        if line is not None:
            self._part = _Part.CHUNK_SIZE
        return line is not None

    def _read_trailer(self) -> bool:
        line = self._line()
        if line == b"":
            self._part = _Part.COMPLETE
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
