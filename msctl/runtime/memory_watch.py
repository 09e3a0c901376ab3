"""Replaces instances that use more memory than `resources: {memory}` says."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from msctl.model import ServiceStatus
from msctl.runtime.background import in_background
from msctl.runtime.limits import size
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.proctree import descendants, resident_memory

INTERVAL: Final = 1.0
"""Seconds between two looks; over the limit in two of them counts."""
LEAST_AGE: Final = 10.0
"""Seconds that an instance runs before it is replaced. Doubled with every replacement in a row:
a service that always needs more than it may must not be replaced all the time."""
LONGEST_AGE: Final = 640.0


@dataclass(frozen=True, slots=True)
class Watched:
    """One instance with a limit, in bytes."""

    service: str
    instance: str
    pid: int
    limit: int


class MemoryWatch:
    """Looks at the instances that have a limit, in a thread."""

    def __init__(self, fleet: Orchestrator, interval: float = INTERVAL) -> None:
        self._fleet = fleet
        self._interval = interval
        self._over: set[tuple[str, int]] = set()
        self._told: set[tuple[str, int]] = set()
        """Those that are being replaced already; an attempt that fails is not repeated."""
        self._ages: dict[str, float] = {}
        """How old an instance of a service has to be; those with no replacement yet are missing."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Watch while the context lasts."""
        return in_background(self._watch(), "memory")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if watched := list(self._watched()):
                self.act(watched, await asyncio.to_thread(usage, [one.pid for one in watched]))

    def act(self, watched: Iterable[Watched], used: Mapping[int, int]) -> None:
        """Replace those that are over their limit now as they were the last time."""
        watched = list(watched)
        before, self._over = self._over, set()
        self._told &= {(one.instance, one.pid) for one in watched}
        for one in watched:
            if used.get(one.pid, 0) <= one.limit:
                continue
            key = one.instance, one.pid
            self._over.add(key)
            if key in before and key not in self._told:
                self._told.add(key)
                self._ages[one.service] = min(LONGEST_AGE, 2 * self._age(one.service))
                reason = f"it uses {size(used[one.pid])}, more than its {size(one.limit)}"
                self._fleet.replace(one.service, one.instance, reason)

    def _watched(self) -> Iterable[Watched]:
        for name, service in self._fleet.services().items():
            limit = service.resources.memory if service.resources else None
            if limit is None:
                continue
            for instance in self._fleet.instances(name):
                started, now = instance.started_at, self._fleet.clock.wall()
                aged = started is not None and now - started >= self._age(name)
                if started is not None and now - started >= 2 * LONGEST_AGE:
                    self._ages.pop(name, None)  # it has done well for long
                if instance.pid and aged and instance.status is ServiceStatus.RUNNING:
                    yield Watched(name, instance.id, instance.pid, limit)

    def _age(self, service: str) -> float:
        return self._ages.get(service, LEAST_AGE)


def usage(pids: Iterable[int]) -> dict[int, int]:
    """Return the resident memory of each of these with all its descendants, in bytes."""
    return {pid: sum(map(resident_memory, [pid, *descendants(pid)])) for pid in pids}
