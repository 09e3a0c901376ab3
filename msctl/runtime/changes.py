"""Waiting for a condition that events make true; nothing polls."""

import asyncio
from collections.abc import Callable


class Notifier:
    """Wakes all who wait for something to become true."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Have every waiting condition looked at again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds; it is asked now and after every change."""
        while not condition():
            await self._event.wait()
