"""When a closed breaker should open: what happened lately, held against the thresholds."""

from msctl.core.breaker_options import BreakerOptions
from msctl.core.breaker_window import Bucket, CountWindow
from msctl.core.outcome import Verdict

_BAD_IN_RATE = frozenset({Verdict.FAILURE, Verdict.THROTTLED})


class BreakerHistory:
    """The run of failures, and the counts of the window (router.md, Breaker 3 and 4)."""

    def __init__(self, options: BreakerOptions) -> None:
        self._options = options
        self._window = CountWindow(options.window)
        self.run = 0
        """Failures in a row; 4xx neither adds to it nor ends it."""
        self._answered = 0
        """Those among them that were answers, bad ones."""

    @property
    def only_lost(self) -> bool:
        """Whether the present run is made of calls that a dead or hung process left alone."""
        return self.run > 0 and self._answered == 0

    def record(self, verdict: Verdict, now: float, *, lost: bool = False) -> None:
        """Count one finished call; an abandoned one counts nothing."""
        if verdict is Verdict.ABANDONED:
            return
        self._window.add(now, marked=verdict in _BAD_IN_RATE)
        if verdict is Verdict.SUCCESS:
            self.run = self._answered = 0
        elif verdict is Verdict.FAILURE:
            self._answered = (self._answered if self.run else 0) + (not lost)
            self.run += 1

    def bucket(self, now: float) -> Bucket:
        """Return the counts under way, for whoever records successes directly (see express)."""
        return self._window.bucket(now)

    def turns_at(self, now: float) -> float:
        """Return until when that bucket is the one under way."""
        return self._window.turns_at(now)

    def trips(self, verdict: Verdict, now: float) -> str | None:
        """Say why a breaker opens after this verdict was recorded; None if it does not.

        Only what is bad can open: a success that completes the minimum of calls never does.
        A 429 is bad for the rate alone.
        """
        if verdict not in _BAD_IN_RATE:
            return None
        run = self._run_too_long() if verdict is Verdict.FAILURE else None
        return run or self._rate_too_high(now)

    def over_threshold(self, now: float) -> str | None:
        """Say what justifies being open, also while a cap holds it closed; None if nothing does."""
        return self._run_too_long() or self._rate_too_high(now)

    def counts(self, now: float) -> tuple[int, int]:
        """Return (calls, bad ones) in the window."""
        return self._window.totals(now)

    def clear(self) -> None:
        """Begin anew, with a fresh window."""
        self.run = self._answered = 0
        self._window.clear()

    def _run_too_long(self) -> str | None:
        threshold = self._options.failure_threshold
        if threshold is None or self.run < threshold:
            return None
        return f"{self.run} failures in a row"

    def _rate_too_high(self, now: float) -> str | None:
        limit = self._options.failure_rate
        if limit is None:
            return None
        calls, bad = self._window.totals(now)
        if calls < self._options.minimum_calls or bad / calls < limit:
            return None
        return f"{bad} of {calls} calls failed within {self._options.window:g} s"
