"""How a command and the daemon's console talk: the daemon renders, the command shows.

The command greets like HTTP, so that it shares the control socket with everything else, and
sends what was asked for; the daemon answers with what is to be written where, and at last with
an exit code. Neither needs a parser: a message is a letter, four bytes of length, and the rest.
"""

GREETING = (
    b"GET /console HTTP/1.1\r\nHost: msctl\r\nConnection: Upgrade\r\nUpgrade: msctl-console\r\n\r\n"
)
WELCOME = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: msctl-console\r\n\r\n"
)

# What the command sends.
COMMAND = b"c"
"""Its name and `key=value` fields, a NUL between two; the same key may come again."""
SIGNAL = b"s"
"""The number of a signal that asks for an end, in decimal."""
SIZE = b"w"
"""Columns and lines of the terminal behind stderr, a blank between them."""

# What the daemon sends.
STDOUT = b"o"
STDERR = b"e"
UNDO_STDOUT = b"O"
"""What to write to stdout if this ends without an exit code; replaces the last one."""
UNDO_STDERR = b"E"
AFTERWARDS = b"a"
"""What to write to stderr once the daemon, which is about to end, is gone."""
EXIT = b"x"
"""The exit code, in decimal."""

_HEAD = 5  # bytes before the rest


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return one message."""
    return kind + len(payload).to_bytes(4, "big") + payload


def encode(command: str, fields: "list[tuple[str, str]]") -> bytes:
    """Return the payload of COMMAND; texts may hold any bytes that an argument can."""
    texts = [command, *(f"{key}={value}" for key, value in fields)]
    return "\0".join(texts).encode("utf-8", "surrogateescape")


def decode(payload: bytes) -> "tuple[str, list[tuple[str, str]]]":
    """Read what `encode` wrote."""
    command, *texts = payload.decode("utf-8", "surrogateescape").split("\0")
    parts = (text.partition("=") for text in texts)
    return command, [(key, value) for key, _, value in parts]


class FrameReader:
    """Takes bytes as they arrive and gives back whole messages."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> "list[tuple[bytes, bytes]]":
        """Return kind and payload of the messages that are complete now."""
        buffer = self._buffer + data
        found, start = [], 0
        while len(buffer) >= start + _HEAD:
            end = start + _HEAD + int.from_bytes(buffer[start + 1 : start + _HEAD], "big")
            if len(buffer) < end:
                break
            found.append((buffer[start : start + 1], buffer[start + _HEAD : end]))
            start = end
        self._buffer = buffer[start:]
        return found
