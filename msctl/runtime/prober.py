"""Runs the checks of the instances, each on its own: a hung one delays no other.

What a result means is decided in `core/health.py`; here is only the when. It takes timers and
callbacks, no task: most of what an idle daemon does is this.
"""

import asyncio
from collections.abc import Callable
from random import Random

from msctl.clock import Clock
from msctl.core.health import HealthTracker, HealthUpdate, ProbeResult
from msctl.core.probe_rate import ProbeRate
from msctl.runtime.probes import Cancel, Probe


class Prober:
    """Checks one instance in one generation from `start` to `stop`."""

    def __init__(
        self,
        probe: Probe,
        tracker: HealthTracker,
        *,
        timeout: float,
        first_timeout: float,
        clock: Clock,
        random: Random,
        rate: ProbeRate,
        report: Callable[[HealthUpdate], None],
    ) -> None:
        self._probe = probe
        self._tracker = tracker
        self._timeout = timeout
        self._first_timeout = first_timeout
        self._clock = clock
        self._random = random
        self._rate = rate
        self._report = report
        self._hurried = False
        self._pause: asyncio.TimerHandle | None = None
        self._cancel: Cancel = _nothing

    def start(self) -> None:
        """Check, report, wait; without end.

        Until the first success a probe may wait as long as the instance may take to start: it
        lies in the listen backlog and is answered the moment the application runs.
        """
        self._begin()

    def stop(self) -> None:
        """End the checks; nothing is reported any more."""
        self._cancel()
        self._cancel, self._pause = _nothing, None

    def hurry(self) -> None:
        """Check again soon: somebody waits for this instance longer than it should take."""
        if self._pause is None:
            self._hurried = True  # a check is under way; it is about the one after it
        else:
            self._pause.cancel()
            self._wait(self._tracker.hurry(self._clock.now()))

    def _begin(self) -> None:
        """Make a check, one of an instance that starts when it has a place among all of them."""
        self._pause = None
        starting = not self._tracker.settled
        if starting and (delay := self._rate.reserve(self._clock.now())):
            self._cancel = asyncio.get_running_loop().call_later(delay, self._ask).cancel
        else:
            self._ask()

    def _ask(self) -> None:
        timeout = self._timeout if self._tracker.settled else self._first_timeout
        self._cancel = self._probe.begin(timeout, self._answered)

    def _answered(self, result: ProbeResult) -> None:
        now = self._clock.now()
        update = self._tracker.record(result, now, self._random)
        delay = self._tracker.hurry(now) if self._hurried else update.delay
        self._hurried = False
        self._wait(delay)
        self._report(update)

    def _wait(self, seconds: float) -> None:
        self._pause = asyncio.get_running_loop().call_later(seconds, self._begin)
        self._cancel = self._pause.cancel


def _nothing() -> None:
    """Cancel what is not there."""
