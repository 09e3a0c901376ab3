"""Runs the checks of the instances, each on its own: a hung one delays no other.

What a result means is decided in `core/health.py`; here is only the when.
"""

import asyncio
from collections.abc import Callable
from random import Random

from msctl.clock import Clock
from msctl.core.health import HealthTracker, HealthUpdate
from msctl.core.probe_rate import ProbeRate
from msctl.runtime.probes import Probe


class Prober:
    """Checks one instance in one generation until it is cancelled."""

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
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Check again soon: somebody waits for this instance longer than it should take."""
        self._hurry.set()

    async def run(self) -> None:
        """Check, report, wait; without end.

        Until the first success a probe may wait as long as the instance may take to start: it
        lies in the listen backlog and is answered the moment the application runs.
        """
        while True:
            starting = not self._tracker.settled
            if starting and (delay := self._rate.reserve(self._clock.now())):
                await asyncio.sleep(delay)
            result = await self._probe(self._first_timeout if starting else self._timeout)
            update = self._tracker.record(result, self._clock.now(), self._random)
            self._report(update)
            await self._pause(update.delay)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        self._hurry.clear()
        await asyncio.sleep(self._tracker.hurry(self._clock.now()))
