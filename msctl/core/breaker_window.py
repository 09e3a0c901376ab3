"""How many of how many, within the last seconds: exact counts in a ring of buckets."""

import math

BUCKETS = 10
"""With a window of 10 s a bucket is one second wide (router.md, Breaker 3)."""


class CountWindow:
    """Counts events, and the marked ones among them, over a sliding window.

    What happened in the bucket under way and in the nine before it counts, what is older
    does not; so an event is forgotten when it is between 0.9 and 1 windows old. Time may
    stand still or run back a little (threads read the clock before they get the lock).
    """

    __slots__ = ("_epochs", "_marked", "_total", "_width")

    def __init__(self, window: float = 10.0) -> None:
        self._width = window / BUCKETS
        self.clear()

    def add(self, now: float, *, events: int = 1, marked: int = 0) -> None:
        """Count `events` at `now`, and `marked` marks (which need not be events themselves)."""
        epoch = math.floor(now / self._width)
        slot = epoch % BUCKETS
        known = self._epochs[slot]
        if known is None or known < epoch:
            self._epochs[slot] = epoch
            self._total[slot] = self._marked[slot] = 0
        elif known > epoch:
            return  # a whole window late: what it belongs to is forgotten already
        self._total[slot] += events
        self._marked[slot] += marked

    def totals(self, now: float) -> tuple[int, int]:
        """Return (events, marks) within the window that ends at `now`."""
        newest = math.floor(now / self._width)
        total = marked = 0
        for slot, epoch in enumerate(self._epochs):
            if epoch is not None and epoch > newest - BUCKETS:
                total += self._total[slot]
                marked += self._marked[slot]
        return total, marked

    def clear(self) -> None:
        """Forget everything."""
        self._epochs: list[int | None] = [None] * BUCKETS
        self._total = [0] * BUCKETS
        self._marked = [0] * BUCKETS
