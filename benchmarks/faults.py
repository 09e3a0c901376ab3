"""Things that happen to instances: kills, hangs of the process, hangs inside the application."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from client import Connections
from fleet import Fleet

_HANG = (2.0, 9.0)
"""Seconds; a hang is noticed after 4.5 to 5.7, so some end before and some after that."""


class Fault(StrEnum):
    """What is done to an instance."""

    KILL = "SIGKILL"
    FREEZE = "SIGSTOP, SIGCONT later"
    BLOCK = "blocked event loop"


@dataclass(slots=True)
class _Sick:
    generation: int
    until: float
    pid: int


class Faults:
    """Strikes one instance after the other, as long as another one stays well.

    An instance counts as well again when its fault is over and the daemon calls it healthy.
    """

    def __init__(self, fleet: Fleet, random: Random) -> None:
        self.counts: Counter[str] = Counter()
        self._fleet = fleet
        self._random = random
        self._sick: dict[str, _Sick] = {}

    async def run(self, every: float) -> None:
        """Strike every so many seconds, until cancelled; nobody is left stopped then."""
        try:
            while True:
                await asyncio.sleep(every)
                await self._strike()
        finally:
            for sick in self._sick.values():
                _signal(sick.pid, signal.SIGCONT)

    async def _strike(self) -> None:
        instances = await asyncio.to_thread(self._fleet.instances)
        now = asyncio.get_running_loop().time()
        well = [one for one in instances if self._is_well(one, now)]
        if len(well) < 2:
            self.counts["skipped, since too few are well"] += 1
            return
        victim, fault = self._random.choice(well), self._random.choice(list(Fault))
        seconds = self._random.uniform(*_HANG)
        self.counts[fault.value] += 1
        until = now if fault is Fault.KILL else now + seconds
        self._sick[victim["id"]] = _Sick(victim["generation"], until, victim["pid"])
        if fault is Fault.KILL:
            _signal(victim["pid"], signal.SIGKILL)
        elif fault is Fault.FREEZE:
            _signal(victim["pid"], signal.SIGSTOP)
            asyncio.get_running_loop().call_later(seconds, _signal, victim["pid"], signal.SIGCONT)
        else:
            direct = Connections(victim["port"])
            await direct.get(f"/hang/{seconds:.1f}")
            direct.close()

    def _is_well(self, instance: dict[str, Any], now: float) -> bool:
        if (instance["status"], instance["health"]) != ("running", "healthy"):
            return False
        sick = self._sick.get(instance["id"])
        if sick is None or sick.generation != instance["generation"]:
            return True
        return sick.until and now > sick.until + 1.0


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
