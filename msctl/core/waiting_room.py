"""Calls that have a place in the service but no instance yet: first in, first out."""

from collections.abc import Callable
from typing import Protocol


class Waiter(Protocol):
    """A call that waits for an instance."""

    @property
    def wake(self) -> Callable[[], None] | None:
        """What tells it to ask again."""
        ...

    @property
    def unconstrained(self) -> bool:
        """Whether nobody could be served where it cannot."""
        ...

    def grant(self, now: float) -> bool:
        """Take an instance for it now, if there is one; it finds it when it asks again."""
        ...


class WaitingRoom:
    """Hands what becomes free to who has waited longest (router.md, Retries, time, load).

    An instance is taken for a waiter before it is woken: a call that comes in between
    cannot overtake it.
    """

    def __init__(self) -> None:
        self._waiters: dict[Waiter, bool] = {}

    def add(self, waiter: Waiter, *, for_room: bool) -> None:
        """Let it wait; `for_room` if over a limit, which counts as queueing. Keeps its turn."""
        self._waiters[waiter] = for_room

    def remove(self, waiter: Waiter) -> None:
        """Take it out; harmless if it is not in."""
        self._waiters.pop(waiter, None)

    def __contains__(self, waiter: Waiter) -> bool:
        return waiter in self._waiters

    def queued(self) -> int:
        """Return how many wait because of a limit."""
        return sum(self._waiters.values())

    def serve(self, now: float) -> None:
        """Give what is free to the waiters, in their order."""
        for waiter in tuple(self._waiters):
            if waiter not in self._waiters:
                continue
            if waiter.grant(now):
                self.remove(waiter)
                _wake(waiter)
            elif waiter.unconstrained:
                return

    def wake_all(self) -> None:
        """Tell everyone to ask again, in their order: something has changed."""
        for waiter in tuple(self._waiters):
            _wake(waiter)


def _wake(waiter: Waiter) -> None:
    if waiter.wake is not None:
        waiter.wake()
