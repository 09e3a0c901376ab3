"""How many calls of a service are under way, and who waits for a place: first in, first out."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol


class Guest(Protocol):
    """A call, as the bulkhead sees it."""

    @property
    def wake(self) -> Callable[[], None] | None:
        """What tells it that its turn has come."""
        ...


class Entry(Enum):
    """What came of asking for a place."""

    INSIDE = auto()
    QUEUED = auto()
    FULL = auto()


class Bulkhead:
    """`limit` places and a queue of `queue` (router.md, Retries, time, load).

    A place that becomes free passes straight to the first in the queue, before it is
    woken: nobody who comes in between can take it.
    """

    def __init__(self, limit: int, queue: int) -> None:
        self.limit = limit
        self.queue = queue
        self.free = limit
        """Places that nobody has; calls on the express lane take and return them by count."""
        self._inside: set[Guest] = set()
        self._queue: dict[Guest, None] = {}

    @property
    def in_flight(self) -> int:
        """Calls that have a place."""
        return self.limit - self.free

    @property
    def queued(self) -> int:
        """Calls that wait for one."""
        return len(self._queue)

    def enter(self, guest: Guest, *, waiting_elsewhere: int = 0) -> Entry:
        """Take a place, or one in the queue; asking again changes nothing.

        `waiting_elsewhere` are waiting calls that use up the same queue.
        """
        if guest in self._inside:
            return Entry.INSIDE
        if guest in self._queue:
            return Entry.QUEUED
        if self.free > 0 and not self._queue:
            self._let_in(guest)
            return Entry.INSIDE
        if len(self._queue) + waiting_elsewhere >= self.queue:
            return Entry.FULL
        self._queue[guest] = None
        return Entry.QUEUED

    def leave(self, guest: Guest) -> None:
        """Give the place back, inside or in the queue; harmless without one."""
        self._queue.pop(guest, None)
        if guest in self._inside:
            self._inside.remove(guest)
            self.leave_express()

    def leave_express(self) -> None:
        """Give the place of a call on the express lane back."""
        self.free += 1
        if self._queue:
            self._admit()

    def move_in(self, guest: Guest) -> None:
        """Let a call keep the place that it had on the express lane."""
        self._inside.add(guest)

    def resize(self, limit: int, queue: int) -> None:
        """Apply other limits; those inside stay, those who now fit are let in."""
        self.free += limit - self.limit
        self.limit, self.queue = limit, queue
        self._admit()

    def _admit(self) -> None:
        while self._queue and self.free > 0:
            first = next(iter(self._queue))
            del self._queue[first]
            self._let_in(first)
            if first.wake is not None:
                first.wake()

    def _let_in(self, guest: Guest) -> None:
        self._inside.add(guest)
        self.free -= 1

    def __repr__(self) -> str:
        return f"<Bulkhead {self.in_flight}/{self.limit} in flight, {self.queued} queued>"
