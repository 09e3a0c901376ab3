"""How many retries a service's callers may add to its load."""

import math

from msctl.core.breaker_window import Bucket, CountWindow

_ROUNDING = 1e-9
"""A fifth of five requests is one retry, whatever binary fractions make of it."""


class RetryBudget:
    """Retries up to a share of the requests, plus a few a second, over a sliding window.

    Defaults: 20 % of requests plus 10 per second, over 10 s (router.md, Retries). So retries
    can add a fifth to the load of a service that fails altogether, never multiply it, and
    a service with little traffic can still retry. What was never sent, or has to move because its
    instance left rotation, needs no budget.
    """

    def __init__(
        self, ratio: float = 0.2, min_per_second: float = 10.0, window: float = 10.0
    ) -> None:
        self.ratio = ratio
        self.min_per_second = min_per_second
        self.window = window
        self._counts = CountWindow(window)

    def deposit(self, now: float) -> None:
        """Count a request that came in (not its retries)."""
        self._counts.add(now)

    def bucket(self, now: float) -> Bucket:
        """Return the counts under way, for whoever deposits directly (see express)."""
        return self._counts.bucket(now)

    def turns_at(self, now: float) -> float:
        """Return until when that bucket is the one under way."""
        return self._counts.turns_at(now)

    def try_withdraw(self, now: float) -> bool:
        """Take one retry if there is one; False, and nothing taken, otherwise."""
        if self.balance(now) < 1:
            return False
        self._counts.add(now, events=0, marked=1)
        return True

    def balance(self, now: float) -> int:
        """Return how many retries could be taken at once now."""
        requests, retries = self._counts.totals(now)
        allowed = self.ratio * requests + self.min_per_second * self.window
        return max(0, math.floor(allowed + _ROUNDING) - retries)
