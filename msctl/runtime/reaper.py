"""Collects the exit codes of the daemon's children, adopted orphans included.

The daemon is a child subreaper, so children that it never started end up here too; one
place calls waitpid, or exit codes would be lost to whoever calls first.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Reaper:
    """Owns waitpid for the whole process while it is open."""

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expected = 0
        self._unclaimed: dict[int, int] = {}
        """Exit codes of children whose pid somebody may still be about to learn."""

    def open(self) -> None:
        """Begin to collect; needs a running loop in the main thread."""
        self._loop = asyncio.get_running_loop()
        # Not loop.add_signal_handler: uvloop keeps SIGCHLD for children that it starts itself.
        signal.signal(signal.SIGCHLD, self._signalled)
        self._reap()

    def close(self) -> None:
        """Stop collecting."""
        if self._loop is not None:
            # Not back to the default: a signal that has arrived, and whose turn has not come
            # yet, would find no handler, which Python reports as an error.
            signal.signal(signal.SIGCHLD, _nobody_waits)
            self._loop = None

    def watch(self, pid: int, exited: Callable[[int], None]) -> None:
        """Call `exited` once with the child's exit code, minus the number of a signal.

        Must be called in the same step as the child's start, before the loop runs again; or
        while one is `expecting` it, and then the child may have ended already.
        """
        if pid in self._unclaimed:
            exited(self._unclaimed.pop(pid))
        else:
            self._callbacks[pid] = exited

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Keep the exit codes of unknown children: one is being born whose pid comes later."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            if not self._expected:
                self._unclaimed.clear()

    def _signalled(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if callback := self._callbacks.pop(pid, None):
                callback(code)
            elif self._expected:
                self._unclaimed[pid] = code


def _nobody_waits(*_: object) -> None:
    """Leave a child's end to whoever started it."""
