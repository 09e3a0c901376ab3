"""The one place that asks what time it is."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time; tests pass one that stands still until it is moved."""

    def now(self) -> float:
        """Monotonic seconds: for durations and deadlines, meaningless as a date."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch: for people and log lines, never for durations."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def timestamp(wall: float) -> str:
    """ISO 8601 in UTC with microseconds, as every log line and event carries it."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
