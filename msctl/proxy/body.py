"""Reading and writing bodies, without a socket: bytes in, bytes out, and where the end is.

A reader takes what it can use from a buffer that someone else fills. What it returns
before a fault is the same however the bytes were split, and so is the fault.
"""

import re
from enum import Enum, auto
from typing import Final, Protocol

from msctl.proxy.faults import BadMessage
from msctl.proxy.fields import FIELD_LINES, TEXT, TOKEN, Fields, forwardable, parse_fields, render
from msctl.proxy.framing import BodyKind, Framing

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;" + TEXT + rb")?\r\n")
_SIZE_BEGUN: Final = re.compile(rb"[0-9A-Fa-f]{0,16}(?:[ \t]*+(?:;" + TEXT + rb")?)?\r?")
_TRAILERS: Final = re.compile(rb"(" + FIELD_LINES + rb")\r\n")
_TRAILERS_BEGUN: Final = re.compile(
    FIELD_LINES + rb"(?:" + TOKEN + rb"(?::" + TEXT + rb"\r?)?|\r)?"
)
_MAX_SIZE_LINE: Final = 4096
_MAX_TRAILERS: Final = 16384
_NOT_AS_TRAILER: Final = frozenset({b"content-length", b"host", b"trailer"})
"""Fields that frame or route a message mean nothing once its body has gone by."""


class BodyReader(Protocol):
    """What the four kinds of body have in common."""

    done: bool
    """The body's end has been read."""
    trailers: Fields

    def take(self, buffer: bytearray) -> bytes:
        """Remove what belongs to the body and return its content; raises BadMessage."""
        ...

    def end(self) -> None:
        """No more bytes will come; raises BadMessage when the body needed them."""
        ...


def body_reader(framing: Framing) -> BodyReader:
    """Return the reader for a body that is delimited so."""
    if framing.kind is BodyKind.CHUNKED:
        return ChunkedReader()
    if framing.kind is BodyKind.UNTIL_CLOSE:
        return CloseReader()
    return LengthReader(framing.length)


def _take(buffer: bytearray, count: int) -> bytes:
    if count >= len(buffer):
        data = bytes(buffer)
        buffer.clear()
    else:
        data = bytes(memoryview(buffer)[:count])
        del buffer[:count]
    return data


class LengthReader:
    """A body of known length; the empty one as well."""

    trailers: Fields = ()

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = not length

    def take(self, buffer: bytearray) -> bytes:
        """Return what there is, up to the length."""
        data = _take(buffer, self._left)
        self._left -= len(data)
        self.done = not self._left
        return data

    def end(self) -> None:
        """Raise BadMessage when bytes are missing."""
        if not self.done:
            raise BadMessage(f"the body ended {self._left} bytes early")


class CloseReader:
    """A body that ends with its connection."""

    trailers: Fields = ()

    def __init__(self) -> None:
        self.done = False

    def take(self, buffer: bytearray) -> bytes:
        """Return all there is."""
        return _take(buffer, len(buffer))

    def end(self) -> None:
        """Take the close for the end."""
        self.done = True


class _Part(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class ChunkedReader:
    """A chunked body; chunk extensions are read over (router.md, HTTP)."""

    def __init__(self) -> None:
        self.done = False
        self.trailers: Fields = ()
        self._part = _Part.SIZE
        self._left = 0
        self._fault: BadMessage | None = None

    def take(self, buffer: bytearray) -> bytes:
        """Return the content of all chunks that are here, whole or in part."""
        pieces: list[bytes] = []
        while not self.done and self._fault is None:
            try:
                if not self._step(buffer, pieces):
                    break
            except BadMessage as fault:
                self._fault = fault  # told after what stood before it was handed out
        if self._fault is not None and not pieces:
            raise self._fault
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """Raise BadMessage unless the last chunk and the trailers were complete."""
        if not self.done:
            raise self._fault or BadMessage("the chunked body ended early")

    def _step(self, buffer: bytearray, pieces: list[bytes]) -> bool:
        """Read one part; False when more bytes are needed for it."""
        if self._part is _Part.SIZE:
            return self._read_size(buffer)
        if self._part is _Part.DATA:
            if not buffer:
                return False
            data = _take(buffer, self._left)
            pieces.append(data)
            self._left -= len(data)
            if not self._left:
                self._part = _Part.DATA_END
            return True
        if self._part is _Part.DATA_END:
            return self._read_data_end(buffer)
        return self._read_trailers(buffer)

    def _read_size(self, buffer: bytearray) -> bool:
        line = _SIZE_LINE.match(buffer, 0, _MAX_SIZE_LINE)
        if line is None:
            if len(buffer) >= _MAX_SIZE_LINE or _SIZE_BEGUN.fullmatch(buffer) is None:
                raise BadMessage("a chunk's size is malformed")
            return False
        self._left = int(line[1], 16)
        del buffer[: line.end()]
        self._part = _Part.DATA if self._left else _Part.TRAILERS
        return True

    def _read_data_end(self, buffer: bytearray) -> bool:
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            self._part = _Part.SIZE
            return True
        if buffer and buffer != b"\r":
            raise BadMessage("a chunk is longer than its size")
        return False

    def _read_trailers(self, buffer: bytearray) -> bool:
        block = _TRAILERS.match(buffer, 0, _MAX_TRAILERS)
        if block is None:
            if len(buffer) >= _MAX_TRAILERS or _TRAILERS_BEGUN.fullmatch(buffer) is None:
                raise BadMessage("the trailers are malformed or too long")
            return False
        self.trailers = tuple(forwardable(parse_fields(block[1]), _NOT_AS_TRAILER))
        del buffer[: block.end()]
        self.done = True
        return True


class BodyWriter:
    """Writes a body's content, chunked or plain."""

    def __init__(self, *, chunked: bool) -> None:
        self.chunked = chunked

    def encode(self, data: bytes) -> bytes:
        """Return one piece of content as it stands on the wire."""
        if not self.chunked or not data:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)

    def finish(self, trailers: Fields) -> bytes:
        """Return what marks the end; a plain body has no place for trailers."""
        return b"0\r\n%b\r\n" % render(trailers) if self.chunked else b""
