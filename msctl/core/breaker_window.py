"""How many of how many, within the last seconds: exact counts in a ring of buckets."""

import math

BUCKETS = 10
"""With a window of 10 s a bucket is one second wide (router.md, Breaker 3)."""


class Bucket:
    """What was counted within one tenth of a window."""

    __slots__ = ("epoch", "events", "marked")

    def __init__(self) -> None:
        self.epoch: float = -math.inf
        """Which tenth, counted from the clock's zero; -inf for one that was never used."""
        self.events = 0
        self.marked = 0

    def begin(self, epoch: float) -> None:
        """Begin to count for another tenth."""
        self.epoch = epoch
        self.events = self.marked = 0


class CountWindow:
    """Counts events, and the marked ones among them, over a sliding window.

    What happened in the bucket under way and in the nine before it counts, what is older
    does not; so an event is forgotten when it is between 0.9 and 1 windows old. Time may
    stand still or run back a little (threads read the clock before they get the lock).
    """

    __slots__ = ("_buckets", "_width")

    def __init__(self, window: float = 10.0) -> None:
        self._width = window / BUCKETS
        self._buckets = [Bucket() for _ in range(BUCKETS)]

    def add(self, now: float, *, events: int = 1, marked: int = 0) -> None:
        """Count `events` at `now`, and `marked` marks (which need not be events themselves)."""
        bucket = self.bucket(now)
        if bucket.epoch > math.floor(now / self._width):
            return  # a whole window late: what it belongs to is forgotten already
        bucket.events += events
        bucket.marked += marked

    def bucket(self, now: float) -> Bucket:
        """Return the bucket under way, for whoever counts in it directly until `turns_at`."""
        epoch = math.floor(now / self._width)
        bucket = self._buckets[epoch % BUCKETS]
        if bucket.epoch < epoch:
            bucket.begin(epoch)
        return bucket

    def turns_at(self, now: float) -> float:
        """Return when the bucket under way at `now` is over."""
        return (math.floor(now / self._width) + 1) * self._width

    def totals(self, now: float) -> tuple[int, int]:
        """Return (events, marks) within the window that ends at `now`."""
        oldest = math.floor(now / self._width) - BUCKETS
        counted = [bucket for bucket in self._buckets if bucket.epoch > oldest]
        return sum(b.events for b in counted), sum(b.marked for b in counted)

    def clear(self) -> None:
        """Forget everything."""
        for bucket in self._buckets:
            bucket.begin(-math.inf)
