"""The idle limit: a stream on which nothing moves does not stay for ever."""

import asyncio
from collections.abc import Callable


class IdleWatch:
    """Calls `on_idle` once when `touch` has not been called for `limit` seconds.

    The timer is not moved by each touch, only looked at when it rings: touching is cheap.
    """

    def __init__(self, limit: float, on_idle: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._on_idle = on_idle
        self._touched = self._loop.time()
        self._timer = self._loop.call_later(limit, self._ring)

    def touch(self) -> None:
        """Note that something moved."""
        self._touched = self._loop.time()

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _ring(self) -> None:
        left = self._touched + self._limit - self._loop.time()
        if left <= 0:
            self._on_idle()
        else:
            self._timer = self._loop.call_later(left, self._ring)
