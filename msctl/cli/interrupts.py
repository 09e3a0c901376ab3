"""Ctrl-C and SIGTERM as events that a loop can wait for."""

import os
import signal
from types import FrameType, TracebackType
from typing import Self

SIGNAL_BASE = 128
"""A shell's exit status of a program ended by a signal is this plus its number."""

_NOTED = (signal.SIGINT, signal.SIGTERM)


class Terminated(BaseException):
    """SIGTERM arrived outside of anything that waits for it."""


def raise_on_sigterm() -> None:
    """Let SIGTERM unwind the program, so that what is open gets closed."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)


class Interrupts:
    """While entered, SIGINT and SIGTERM are only noted: wait for `fileno()`, then `take`."""

    def __enter__(self) -> Self:
        """Start noting."""
        self._read, write = os.pipe()
        self._write = write
        for descriptor in (self._read, write):
            os.set_blocking(descriptor, False)
        self._previous_fd = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, _note) for number in _NOTED}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back their earlier meaning."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor that is readable once a signal has arrived."""
        return self._read

    def take(self) -> list[signal.Signals]:
        """Return the signals that arrived since the last call."""
        try:
            return [signal.Signals(n) for n in os.read(self._read, 64) if n in {*_NOTED}]
        except BlockingIOError:
            return []


def _note(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the wake-up descriptor has the number already."""
