"""Noticing that a client left although its input is not being read."""

import asyncio
import select
from collections.abc import Callable
from typing import Final

_INTERVAL: Final = 0.05
"""Seconds; a client that goes away ends its call within 0.1 (router.md, What counts)."""

# macOS has no POLLRDHUP and reports a closed peer as POLLHUP.
_GONE: Final = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class HangupWatch:
    """Looks at a socket whose reading is paused, and says when the other side has closed.

    The event loop tells of a close only by reading up to it, which back-pressure forbids.
    """

    def __init__(self, fileno: int, on_hangup: Callable[[], None]) -> None:
        self._poll = select.poll()
        self._poll.register(fileno, _GONE)
        self._on_hangup = on_hangup
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._look)

    def stop(self) -> None:
        """Look no longer; belongs before the socket is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._poll.poll(0):
            self._on_hangup()
        self.start()
