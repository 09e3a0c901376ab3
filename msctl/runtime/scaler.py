"""Scales the services that have `scaling:`, by the load that the router sees."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from msctl.config.models import ServiceConfig
from msctl.core.autoscale import Autoscaler, Load
from msctl.proxy.meters import Meters
from msctl.runtime.background import in_background
from msctl.runtime.orchestrator import Orchestrator

INTERVAL: Final = 0.1
"""Seconds between two looks at the load."""

Adjust = Callable[[str, int, str], Awaitable[None]]
"""Has a service run in so many instances from now on, for this reason."""


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Scaler:
    """Looks at every scaled service and has its number of instances adjusted."""

    def __init__(
        self, fleet: Orchestrator, meters: Meters, adjust: Adjust, cores: int | None = None
    ) -> None:
        self._fleet = fleet
        self._meters = meters
        self._adjust = adjust
        self._cores = cores or processors()
        self._scalers: dict[str, tuple[ServiceConfig, Autoscaler]] = {}
        self._replicas: dict[str, int] = {}
        """Those that were wanted at the last look: somebody else may change them too."""
        self._called: set[str] = set()
        """Services at 0 that somebody calls."""
        self._news = asyncio.Event()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Scale while the context lasts."""
        return in_background(self._watch(), "scale")

    def summon(self, service: str) -> bool:
        """Have a service started that is at 0 and wanted; True when there will be an instance.

        One that was just asked for is not registered for a moment, and promised as well.
        """
        wish, config = self._fleet.wish(service), self._fleet.config(service)
        if wish is None or config is None or config.scaling is None or not wish.wanted:
            return False
        if wish.standby:
            self._called.add(service)
            self._news.set()
        return wish.standby or not self._fleet.instances(service)

    async def _watch(self) -> None:
        while True:
            await self.look()
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._news.wait()

    async def look(self) -> None:
        """Take in the load of all scaled services, and adjust what is due."""
        for name in self._fleet.wanted():
            config = self._fleet.config(name)
            if config is not None and config.scaling is not None:
                await self._scale(config, name)

    async def _scale(self, config: ServiceConfig, name: str) -> None:
        wish, now = self._fleet.wish(name), self._fleet.clock.now()
        assert wish is not None, "what is wanted has a wish"
        scaler = self._scaler(config)
        if wish.replicas != self._replicas.get(name, wish.replicas):
            scaler.forget()
        scaler.observe(self._load(name), now)
        decision = scaler.decide(wish.replicas, now)
        self._called.discard(name)
        if decision is not None:
            await self._adjust(name, decision.replicas, decision.reason)
        self._replicas[name] = wish.replicas if decision is None else decision.replicas

    def _scaler(self, config: ServiceConfig) -> Autoscaler:
        known = self._scalers.get(config.name)
        if known is None or known[0].scaling != config.scaling:
            assert config.scaling is not None, "asked only for scaled services"
            known = self._scalers[config.name] = config, Autoscaler(config.scaling, self._cores)
        return known[1]

    def _load(self, name: str) -> Load:
        route, meter = self._fleet.router.route(name), self._meters.service(name)
        served = sum(sum(each.codes.values()) for each in (meter.own, *meter.by_instance.values()))
        calls = route.in_flight + route.queued if route else 0
        return Load(max(calls, int(name in self._called)), served)
