"""Where a response goes: byte for byte into a pipe or file, readable on a terminal."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from msctl.cli import streams
from msctl.client import ResponseHead

_PRETTY_LIMIT = 4 << 20  # bytes; a longer document is not read by a person
_JSON = "application/json"


class Sink(Protocol):
    """Takes a response."""

    def begin(self, head: ResponseHead, *, include: bool) -> None:
        """Take the head, to be shown with `include`."""
        ...

    def write(self, piece: bytes) -> None:
        """Take a piece of the body."""
        ...

    def end(self) -> None:
        """Finish: the body is complete."""
        ...

    def give_up(self) -> None:
        """Drop it: there is nothing to write after all."""
        ...


@contextmanager
def open_sink(path: Path | None) -> Iterator[Sink]:
    """Open the output before the request is sent: a bad file must not cost a POST."""
    if path is None:
        yield TerminalSink() if sys.stdout.isatty() else StreamSink(sys.stdout.buffer)
        return
    is_new = not path.exists()
    # No truncation yet: an old file is kept until there is an answer.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        sink = FileSink(file, path, is_new=is_new)
        try:
            yield sink
        except BaseException:
            sink.give_up()
            raise


class StreamSink:
    """Bytes as they come, each piece at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def begin(self, head: ResponseHead, *, include: bool) -> None:
        """Write the head as HTTP has it."""
        if include:
            self.write(head_text(head, "\r\n").encode("latin-1", "replace"))

    def write(self, piece: bytes) -> None:
        """Write all of it and bring it out."""
        self._stream.write(piece)
        self._stream.flush()

    def end(self) -> None:
        """Nothing is held back."""

    def give_up(self) -> None:
        """Nothing was written."""


class FileSink(StreamSink):
    """A file that is emptied only when the response arrives."""

    def __init__(self, file: BinaryIO, path: Path, *, is_new: bool) -> None:
        super().__init__(file)
        self._path = path
        self._is_new = is_new
        self._begun = False

    def begin(self, head: ResponseHead, *, include: bool) -> None:
        """Empty the file."""
        self._begun = True
        if self._path.is_file():  # not a device or a pipe
            self._stream.truncate(0)
        super().begin(head, include=include)

    def write(self, piece: bytes) -> None:
        """Write all of it; an error names the file."""
        try:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(self._path)) from None

    def give_up(self) -> None:
        """Remove the file if it did not exist before."""
        if self._is_new and not self._begun:
            self._path.unlink(missing_ok=True)


class TerminalSink:
    """Text for a person: JSON set out and coloured, no bytes that upset the terminal."""

    def __init__(self) -> None:
        self._held: bytearray | None = None
        self._binary = False
        self._last = b"\n"

    def begin(self, head: ResponseHead, *, include: bool) -> None:
        """Write the head, and hold a JSON body back until it is complete."""
        if include:
            streams.write(head_text(head, "\n").rstrip("\n") + "\n")
        kind = (head.header("content-type") or "").partition(";")[0].strip().lower()
        if kind == _JSON or kind.endswith("+json"):
            self._held = bytearray()

    def write(self, piece: bytes) -> None:
        """Show text at once; say once that there is something else."""
        if self._held is not None:
            self._held += piece
            if len(self._held) > _PRETTY_LIMIT:
                held, self._held = bytes(self._held), None
                self._show(held)
        else:
            self._show(piece)

    def end(self) -> None:
        """Show the JSON; leave the cursor at the beginning of a line."""
        if self._held is not None:
            self._show_json(bytes(self._held))
        if self._last != b"\n":
            sys.stdout.write("\n")
        streams.flush()

    def give_up(self) -> None:
        """Nothing was written."""

    def _show_json(self, body: bytes) -> None:
        try:
            text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except ValueError:
            self._show(body)
            return
        if streams.is_decorated(sys.stdout):
            # Imported here for start-up time: only a person at a terminal needs colour.
            from rich.console import Console  # noqa: PLC0415
            from rich.highlighter import JSONHighlighter  # noqa: PLC0415

            console = Console(file=sys.stdout, soft_wrap=True)
            console.print(JSONHighlighter()(text))
        else:
            streams.write(text)

    def _show(self, piece: bytes) -> None:
        if self._binary or b"\0" in piece:
            if not self._binary:
                streams.say("the body is binary and not shown; write it to a file with -o FILE")
            self._binary = True
            return
        if piece:
            self._last = piece[-1:]
            sys.stdout.buffer.write(piece)
            streams.flush()


def head_text(head: ResponseHead, end: str) -> str:
    """Return status line and header fields, with the empty line after them."""
    lines = [f"{head.version} {head.status} {head.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in head.headers]
    return end.join([*lines, "", ""])
