"""How long a breaker stays open: longer with every opening in a row."""

from msctl.core.breaker_options import BreakerOptions
from msctl.core.jitter import RandomSource


class OpenSchedule:
    """`base · 2ⁿ` up to the cap, plus jitter; n falls by one for each while spent closed.

    With the defaults: 5, 10, 20, 40, 60, 60 … seconds, each up to half as long again, and
    n - 1 per 10 s closed (router.md, Breaker, "open for").
    """

    def __init__(self, options: BreakerOptions, random: RandomSource) -> None:
        self._options = options
        self._random = random
        self._openings = 0
        self._closed_at: float | None = None

    def closed(self, now: float) -> None:
        """Note that the breaker closed: from now on openings are forgotten."""
        self._closed_at = now

    def next_duration(self, now: float) -> float:
        """Return for how many seconds the opening that happens now lasts."""
        options = self._options
        if self._closed_at is not None:
            forgotten = int((now - self._closed_at) / options.forget_after)
            self._openings = max(0, self._openings - forgotten)
            self._closed_at = None
        plain = options.base_open * 2.0**self._openings
        # Beyond the cap a further doubling changes nothing now, and would only make the
        # breaker take longer to forgive later.
        if plain < options.timeout:
            self._openings += 1
        return min(plain, options.timeout) * (1 + options.jitter * self._random.random())

    def forget(self) -> None:
        """Start again with the shortest duration."""
        self._openings = 0
        self._closed_at = None
