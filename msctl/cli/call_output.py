"""Where a response goes: byte for byte into a pipe or file, readable on a terminal."""

import os
import stat
import sys

from msctl.cli import streams

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO, Self

    from msctl.client.response import ResponseHead

_PRETTY_LIMIT = 4 << 20  # bytes; a longer document is not read by a person
_JSON = "application/json"


def open_sink(path: str | None) -> "Sink":
    """Open the output before the request is sent: a bad file must not cost a POST."""
    if path is None:
        return TerminalSink() if sys.stdout.isatty() else StreamSink(sys.stdout.buffer)
    is_new = not os.path.exists(path)
    # No truncation yet: an old file is kept until there is an answer.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    return FileSink(os.fdopen(descriptor, "wb", buffering=0), path, is_new=is_new)


class Sink:
    """Takes a response; the base of the three, which does nothing."""

    def __enter__(self) -> "Self":
        """Use it as a context: leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        """Close it; after an error nothing more comes."""
        if error is not None:
            self.give_up()
        self.close()

    def begin(self, head: "ResponseHead", *, include: bool) -> None:
        """Take the head, to be shown with `include`."""

    def write(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def end(self) -> None:
        """Finish: the body is complete."""

    def give_up(self) -> None:
        """Drop it: there is nothing to write after all."""

    def close(self) -> None:
        """Give back what it holds."""


class StreamSink(Sink):
    """Bytes as they come, each piece at once."""

    def __init__(self, stream: "BinaryIO") -> None:
        self._stream = stream

    def begin(self, head: "ResponseHead", *, include: bool) -> None:
        """Write the head as HTTP has it."""
        if include:
            self.write(head_text(head, "\r\n").encode("latin-1", "replace"))

    def write(self, piece: bytes) -> None:
        """Write all of it and bring it out."""
        self._stream.write(piece)
        self._stream.flush()


class FileSink(StreamSink):
    """A file that is emptied only when the response arrives."""

    def __init__(self, file: "BinaryIO", path: str, *, is_new: bool) -> None:
        super().__init__(file)
        self._path = path
        self._is_new = is_new
        self._begun = False

    def begin(self, head: "ResponseHead", *, include: bool) -> None:
        """Empty the file."""
        self._begun = True
        if stat.S_ISREG(os.fstat(self._stream.fileno()).st_mode):  # not a device or a pipe
            self._stream.truncate(0)
        super().begin(head, include=include)

    def write(self, piece: bytes) -> None:
        """Write all of it; an error names the file."""
        try:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from None

    def give_up(self) -> None:
        """Remove the file if it did not exist before."""
        if self._is_new and not self._begun:
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                return

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class TerminalSink(Sink):
    """Text for a person: JSON set out and coloured, no bytes that upset the terminal."""

    def __init__(self) -> None:
        self._held: bytearray | None = None
        self._binary = False
        self._last = b"\n"

    def begin(self, head: "ResponseHead", *, include: bool) -> None:
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

    def _show_json(self, body: bytes) -> None:
        # Imported here for start-up time: only a person at a terminal needs it.
        import json  # noqa: PLC0415

        try:
            text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except ValueError:
            self._show(body)
            return
        if streams.is_decorated(sys.stdout):
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


def head_text(head: "ResponseHead", end: str) -> str:
    """Return status line and header fields, with the empty line after them."""
    lines = [f"{head.version} {head.status} {head.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in head.headers]
    return end.join([*lines, "", ""])
