"""Closing the front doors behind which nothing is left."""

import asyncio
from collections.abc import Callable

from msctl.runtime.changes import Notifier
from msctl.runtime.doors import Doors


class UnusedDoors:
    """Closes doors in the background; `is_unused` is asked again at the last moment."""

    def __init__(
        self,
        doors: Doors,
        is_unused: Callable[[str], bool],
        changed: Notifier,
        *,
        closed: Callable[[str], None],
    ) -> None:
        self._closed = closed
        self._doors = doors
        self._is_unused = is_unused
        self._changed = changed
        self._closing: set[str] = set()

    def close(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to close those that are unused now."""
        for name in filter(self._is_unused, self._doors.names()):
            self._closing.add(name)
            tasks.create_task(self._close(name), name=f"close door {name}")

    def is_closed(self, name: str) -> bool:
        """Whether the service has no front door, and none that is still about to close."""
        return name not in self._doors.names() and name not in self._closing

    @property
    def all_closed(self) -> bool:
        """Whether no service has a front door any more."""
        return not self._doors.names() and not self._closing

    async def _close(self, name: str) -> None:
        try:
            if self._is_unused(name):  # it may be wanted again meanwhile
                await self._doors.close(name)
                self._closed(name)
        finally:
            self._closing.discard(name)
            self._changed.notify()
