"""At most so many probes a second for the whole fleet (router.md, Registry and health, starting)."""


class ProbeRate:
    """Hands out evenly spaced places in time, first come, first served.

    Many instances that start together each probe every 20 ms; together they must not.
    """

    def __init__(self, per_second: float = 500.0) -> None:
        self._gap = 1 / per_second
        self._next_free = 0.0

    def reserve(self, now: float) -> float:
        """Take the next place and return the seconds until it comes; 0 when it is now."""
        place = max(now, self._next_free)
        self._next_free = place + self._gap
        return place - now
