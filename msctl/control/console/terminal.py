"""The command at the other end: what it asked for, what its streams can do, what it is sent."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Self

from msctl.client import frames
from msctl.render.style import Style, paint

_DEFAULT_SIZE = (80, 24)
"""For a terminal that does not know its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command and the values of its arguments and options, as texts."""

    command: str
    fields: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Read what the command has sent."""
        command, pairs = frames.decode(payload)
        fields: dict[str, list[str]] = {}
        for key, value in pairs:
            fields.setdefault(key, []).append(value)
        return cls(command, fields)

    def many(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [*self.fields.get(name, ())]

    def one(self, name: str) -> str | None:
        """Return the value of a field that is there once at most."""
        return next(iter(self.fields.get(name, ())), None)

    def flag(self, name: str) -> bool:
        """Return whether a field is there."""
        return name in self.fields

    def seconds(self, name: str) -> float | None:
        """Return the value of a field as a number."""
        value = self.one(name)
        return None if value is None else float(value)

    def mapping(self, name: str) -> dict[str, str]:
        """Return values of the form `KEY=VALUE`."""
        parts = (value.partition("=") for value in self.many(name))
        return {key: value for key, _, value in parts}


@dataclass(frozen=True, slots=True)
class Signalled:
    """The command was sent a signal."""

    number: int


class Notice(Enum):
    """What the console itself has to say."""

    CLOSING = auto()
    """The daemon ends; who only looks on ends too."""


Item = Mapping[str, Any] | Exception | Signalled | Notice
"""What a session waits for: messages of an operation and what comes from elsewhere."""


class Terminal:
    """Writes to the streams of the command; `inbox` is what its session is told."""

    def __init__(self, writer: asyncio.StreamWriter, request: Request) -> None:
        self._writer = writer
        self.cwd = Path(request.one("cwd") or "/")
        self.program = request.one("program") or "msctl"
        """What commands for this fleet begin with."""
        self.decorates_stdout = request.flag("stdout_decorated")
        self.decorates_stderr = request.flag("stderr_decorated")
        size = request.one("stdout_size")
        self.width = _size(size)[0] if size else None
        """Columns of the terminal behind stdout; None when it is none."""
        self.screen = _size(size)
        """Columns and lines behind stdout."""
        self.size = _size(request.one("stderr_size"))
        """Columns and lines behind stderr."""
        self.inbox: asyncio.Queue[Item] = asyncio.Queue()

    def resize(self, text: str) -> None:
        """Note that the terminal behind stderr and stdout has another size."""
        self.size = _size(text)
        if self.width is not None:
            self.screen = self.size
            self.width = self.size[0]

    @property
    def is_behind(self) -> bool:
        """Whether it has not yet taken what was written last."""
        return self._writer.transport.get_write_buffer_size() > 0

    def write(self, text: str) -> None:
        """Write data to stdout."""
        if text:
            self._send(frames.STDOUT, text)

    def show(self, text: str) -> None:
        """Write to stderr as it is."""
        self._send(frames.STDERR, text)

    def say(self, *lines: str) -> None:
        """Write lines of progress, warning or error to stderr."""
        if lines:
            self.show("".join(f"{line}\n" for line in lines))

    def warn(self, message: str) -> None:
        """Write a warning."""
        word = paint("warning:", Style.CAUTION, decorated=self.decorates_stderr)
        self.say(f"{word} {message}")

    def complain(self, message: str) -> None:
        """Write an error message."""
        word = paint("error:", Style.BAD, decorated=self.decorates_stderr)
        self.say(f"{word} {message}")

    def undo_stdout(self, text: str) -> None:
        """Say what to write to stdout should this break off."""
        self._send(frames.UNDO_STDOUT, text)

    def undo_stderr(self, text: str) -> None:
        """Say what to write to stderr should this break off."""
        self._send(frames.UNDO_STDERR, text)

    def say_afterwards(self, line: str) -> None:
        """Have this line said on stderr when the daemon is gone."""
        self._send(frames.AFTERWARDS, f"{line}\n")

    def exit(self, code: int) -> None:
        """End the command."""
        self._send(frames.EXIT, str(code))

    async def drain(self) -> None:
        """Wait until the command has taken most of what was written."""
        await self._writer.drain()

    def _send(self, kind: bytes, text: str) -> None:
        # What a terminal's encoding lacks is escaped rather than an error.
        self._writer.write(frames.frame(kind, text.encode("utf-8", "backslashreplace")))


def _size(text: str | None) -> tuple[int, int]:
    columns, _, lines = (text or "").partition(" ")
    if not (columns.isdigit() and lines.isdigit()):
        return _DEFAULT_SIZE
    return int(columns) or _DEFAULT_SIZE[0], int(lines) or _DEFAULT_SIZE[1]
