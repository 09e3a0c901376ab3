"""Who has left an instance's process group: one look at /proc serves all that ask.

A look costs milliseconds, and thirty instances that stop together would each take one.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

from msctl.runtime.proctree import descendants, instance_of

Strays = Mapping[str, Sequence[int]]
"""The processes of each instance, by what their environment says."""


class SharedLook:
    """Looks in a thread, for everyone who had asked when it began."""

    def __init__(self, look: Callable[[], Strays]) -> None:
        self._look = look
        self._current: asyncio.Future[Strays] | None = None
        self._next: asyncio.Future[Strays] | None = None

    async def take(self) -> Strays:
        """Return what was seen by a look that began after this call.

        One that is under way may have passed by what happened a moment ago.
        """
        if self._current is None or self._current.done():
            self._current = asyncio.ensure_future(asyncio.to_thread(self._look))
            return await asyncio.shield(self._current)
        if self._next is None:
            self._next = asyncio.ensure_future(self._look_after(self._current))
        return await asyncio.shield(self._next)

    async def _look_after(self, current: asyncio.Future[Strays]) -> Strays:
        await asyncio.wait({current})
        self._current, self._next = self._next, None
        return await asyncio.to_thread(self._look)


_looks: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedLook] = WeakKeyDictionary()
"""What is shared belongs to a loop; nothing is remembered beyond a look that is under way."""


async def strays_of(instance: str) -> Sequence[int]:
    """Return the descendants of this process that were started with this MSCTL_INSTANCE."""
    look = _looks.setdefault(asyncio.get_running_loop(), SharedLook(_by_instance))
    return (await look.take()).get(instance, ())


def _by_instance() -> Strays:
    found: dict[str, list[int]] = {}
    for pid in descendants(os.getpid()):
        if (instance := instance_of(pid)) is not None:
            found.setdefault(instance, []).append(pid)
    return found
