"""stdout, stderr and waiting: what a well-behaved program owes the shell.

stdout carries data, so failing to write it is an error; stderr carries progress, and
failing to show that must not fail what it is about (contract.md, Output).
"""

import os
import sys

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol, TextIO

    class HasFileno(Protocol):
        """Something that can be waited for."""

        def fileno(self) -> int:
            """Return the descriptor."""
            ...


_STANDARD = (0, 1, 2)
_STDOUT = 1
_UTF_8 = ("utf-8", "backslashreplace")


def prepare() -> None:
    """Make the three standard streams safe to use, whatever the caller left of them.

    A closed one would give its number to the next socket, and data would go there. Text that
    the terminal's encoding lacks is escaped rather than an error.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    if sys.stdout is None:
        sys.stdout = _text(_STDOUT)
    if sys.stderr is None:
        sys.stderr = _text(_STANDARD[2])
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")


def is_decorated(stream: "TextIO") -> bool:
    """Whether colour and cursor movement are welcome on this stream."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def size_of(stream: "TextIO") -> os.terminal_size | None:
    """Return a terminal's columns and lines; None for anything else, or when it has none."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return None
    return size if size.columns and size.lines else None


def stdout_width() -> int | None:
    """Return the terminal's width in cells; None when stdout is none and nothing is to fit."""
    size = size_of(sys.stdout)
    return size.columns if size else None


def say(text: str = "") -> None:
    """Write a line of progress, warning or error to stderr."""
    _put(sys.stderr, f"{text}\n")


def write(text: str) -> None:
    """Write a line of data to stdout."""
    sys.stdout.write(text + "\n")


def flush() -> None:
    """Bring the data out; raises the OSError of a full disk, BrokenPipeError of a closed pipe."""
    sys.stdout.flush()


def write_utf8(data: bytes) -> None:
    """Write text to stdout and bring it out; like `write` and `flush` it may raise OSError."""
    if sys.stdout.encoding == _UTF_8[0]:
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(data.decode(*_UTF_8))
    sys.stdout.flush()


def say_utf8(data: bytes) -> None:
    """Write text to stderr as it is."""
    _put(sys.stderr, data.decode(*_UTF_8))


def discard_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush succeeds."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STDOUT)
    os.close(null)


def wait(
    sources: "Sequence[HasFileno]" = (),
    seconds: float | None = None,
    *,
    watch_stdout: bool = False,
) -> "list[HasFileno]":
    """Wait until one of the sources can be read, and return those that can.

    With `watch_stdout`, raise BrokenPipeError as soon as nobody reads stdout any more: a
    follower ends at once, not at its next line.
    """
    import select  # noqa: PLC0415 - for start-up time: the shortest commands never wait

    poller = select.poll()
    for source in sources:
        poller.register(source, select.POLLIN)
    if watch_stdout:
        poller.register(_STDOUT, 0)
    found = dict(poller.poll(None if seconds is None else max(0.0, seconds) * 1000))
    gone = select.POLLERR | select.POLLHUP | select.POLLNVAL
    if watch_stdout and found.get(_STDOUT, 0) & gone:
        raise BrokenPipeError
    return [source for source in sources if source.fileno() in found]


def _put(stream: "TextIO", text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        return


def _text(descriptor: int) -> "TextIO":
    return os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
