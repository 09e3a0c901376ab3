"""Ctrl-C and SIGTERM as events that a loop can wait for.

`_signal` is `signal` without its enums, which take longer to import than a command may.
"""

import _signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

SIGINT: int = _signal.SIGINT
SIGTERM: int = _signal.SIGTERM
SIGWINCH: int = _signal.SIGWINCH


class Terminated(BaseException):
    """SIGTERM arrived outside of anything that waits for it."""


def raise_on_sigterm() -> None:
    """Let SIGTERM unwind the program, so that what is open gets closed."""

    def terminate(_number: int, _frame: "FrameType | None") -> None:
        raise Terminated

    _signal.signal(SIGTERM, terminate)


class Interrupts:
    """While entered, these signals are only noted: wait for `fileno()`, then `take`."""

    ENDING = (SIGINT, SIGTERM)

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __enter__(self) -> "Self":
        """Start noting."""
        self._read, write = os.pipe()
        self._write = write
        for descriptor in (self._read, write):
            os.set_blocking(descriptor, False)
        self._previous_fd = _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._previous = {number: _signal.signal(number, _note) for number in self._numbers}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        """Give the signals back their earlier meaning."""
        for number, handler in self._previous.items():
            _signal.signal(number, handler)
        _signal.set_wakeup_fd(self._previous_fd)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor that is readable once a signal has arrived."""
        return self._read

    def take(self) -> list[int]:
        """Return the numbers of the signals that arrived since the last call."""
        try:
            return [number for number in os.read(self._read, 64) if number in self._numbers]
        except BlockingIOError:
            return []


def _note(_number: int, _frame: "FrameType | None") -> None:
    """Do nothing: the wake-up descriptor has the number already."""
