"""The one place that asks what time it is, and the one where chance comes from."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random


class Clock(Protocol):
    """A source of time; tests pass one that stands still until it is moved."""

    def now(self) -> float:
        """Monotonic seconds: for durations and deadlines, meaningless as a date."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch: for people and log lines, never for durations."""
        ...


class SystemClock:
    """The clock of the machine; its functions themselves, since every call asks it twice."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


def timestamp(wall: float) -> str:
    """ISO 8601 in UTC with microseconds, as every log line and event carries it."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def random_source() -> "Random":
    """Return a fresh source of chance; tests pass one with a seed instead."""
    # Imported here for start-up time: every command reads the clock, and takes 2 ms less.
    from random import Random  # noqa: PLC0415 - see above

    return Random()  # noqa: S311 - for spreading load, not for secrets
