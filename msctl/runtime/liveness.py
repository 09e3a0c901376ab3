"""The check whose failure restarts a process: for one that runs and yet does nothing any more.

Readiness is another matter (router.md, Registry and health): it takes an instance out of
rotation and back, and never restarts it.
"""

import asyncio
from collections.abc import Callable

from msctl.config.health import LivenessConfig
from msctl.core.health import ProbeKind, ProbeResult
from msctl.runtime.probes import Cancel, Probe

_PASSED = frozenset({ProbeKind.OK, ProbeKind.DEGRADED})


class Liveness:
    """Checks one process from `start` to `stop`, at an even pace.

    `dead` is called once, after `fall` failures in a row, with what the last one was.
    """

    def __init__(self, probe: Probe, config: LivenessConfig, dead: Callable[[str], None]) -> None:
        self._probe = probe
        self._config = config
        self._dead = dead
        self._failures = 0
        self._started = False
        self._cancel: Cancel | None = None

    def start(self) -> None:
        """Begin, one interval from now; a second time nothing."""
        if not self._started:
            self._started = True
            self._wait()

    def stop(self) -> None:
        """End; nothing is told any more."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._cancel = loop.call_later(self._config.interval, self._ask).cancel

    def _ask(self) -> None:
        self._cancel = self._probe.begin(self._config.timeout, self._answered)

    def _answered(self, result: ProbeResult) -> None:
        self._failures = 0 if result.kind in _PASSED else self._failures + 1
        if self._failures < self._config.fall:
            self._wait()
            return
        self._cancel = None
        times = f"{self._failures} times in a row" if self._failures > 1 else "once"
        self._dead(f"liveness check failed {times}: {result.detail}")
