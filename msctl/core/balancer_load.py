"""What a balancer knows of one process: connections, failures lately, speed, age."""

import math
from collections import deque

PENALTY_SECONDS = 5.0
"""For so long a failed attempt counts as one more connection (linkerd; router.md)."""

EWMA_DECAY = 10.0
"""Seconds in which the memory of a slow answer fades to 1/e (router.md, `peak_ewma`)."""

SLOW_START_FLOOR = 0.1
"""The share that a newcomer starts with (router.md, Slow start)."""

_PENALTIES_KEPT = 1024
"""More failures than that within the penalty's seconds make no difference to the choice."""


class Load:
    """The load on one generation of one instance; a newcomer's starts at nothing."""

    __slots__ = (
        "_latency",
        "_latency_at",
        "_penalties",
        "connections",
        "generation",
        "joined_at",
        "limited",
    )

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.connections = 0
        """Leases that are held now."""
        self.limited = 0
        """Those among them that count against the limit of an instance."""
        self.joined_at: float | None = None
        """When it was first offered (monotonic seconds); the balancer sets it."""
        self._penalties: deque[float] = deque(maxlen=_PENALTIES_KEPT)
        self._latency: float | None = None
        self._latency_at = 0.0

    def pending(self, now: float) -> int:
        """Return connections, each failure of the last seconds counted as one more."""
        penalties = self._penalties
        while penalties and penalties[0] <= now:
            penalties.popleft()
        return self.connections + len(penalties)

    def penalise(self, now: float) -> None:
        """Count a failed attempt: without it the one that fails fastest draws the traffic."""
        self._penalties.append(now + PENALTY_SECONDS)

    def observe(self, seconds: float, now: float, *, failed: bool = False) -> None:
        """Take in how long an answer took.

        A slower one than the average lifts it at once, a faster one pulls it down by how
        much time has passed. A failure can only lift it: failing fast is not being fast.
        """
        average = self.latency(now)
        if failed and (average is None or seconds < average):
            return
        if average is None or seconds >= average:
            self._latency = seconds
        else:
            self._latency = average + seconds * (1 - self._fade(now))
        self._latency_at = now

    def latency(self, now: float) -> float | None:
        """Return the average in seconds, None without a sample.

        It fades while nothing is heard: who was slow once would never be tried again else.
        """
        if self._latency is None:
            return None
        return self._latency * self._fade(now)

    def growth(self, now: float, slow_start: float) -> float:
        """Return the slow start factor, from 0.1 for a newcomer to 1 after `slow_start` s.

        The time runs from when it was first offered. Only the proportion between
        candidates matters, so it has an effect just while others serve already.
        """
        age = 0.0 if self.joined_at is None else now - self.joined_at
        if age >= slow_start:
            return 1.0
        return max(SLOW_START_FLOOR, age / slow_start)

    def restart_growth(self) -> None:
        """Begin the slow start again: it comes back after it was out of rotation."""
        self.joined_at = None

    def _fade(self, now: float) -> float:
        return math.exp(-(now - self._latency_at) / EWMA_DECAY)
