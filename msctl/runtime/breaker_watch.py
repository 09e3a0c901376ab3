"""Sees to it that breakers move when they are due, and notes every move as an event.

A breaker moves by itself only when it is asked. Without a call nobody would hear that an
opening is over or that a forcing has ended, so that somebody has to ask at the right time.
"""

import asyncio

from msctl.clock import Clock
from msctl.core.breaker import BreakerSnapshot, CircuitBreaker
from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.core.router import BreakerEvent, Router
from msctl.runtime.events import EventLog

_Key = tuple[str, str | None]
"""A service, and an instance or None for the service's own breaker."""

_LATE = 0.001
"""Seconds by which to ask late: a loop's timers may be early by their resolution."""


class BreakerWatch:
    """Watches all breakers of a router. Belongs to one loop."""

    def __init__(
        self, router: Router, registry: ServiceRegistry, events: EventLog, clock: Clock
    ) -> None:
        self._router = router
        self._events = events
        self._clock = clock
        self._timers: dict[_Key, asyncio.TimerHandle] = {}
        router.on_breaker(self._moved)
        # After the router's own subscription, which takes in the change itself.
        registry.subscribe(self._registry_changed)

    def commanded(
        self, service: str, instance: str | None, before: BreakerSnapshot, after: BreakerSnapshot
    ) -> None:
        """Note a command that changed something, and be it only how long a state lasts."""
        if before.state is not after.state:
            return  # its move has been told
        if (before.generation, before.until) != (after.generation, after.until):
            change = (before.state, after.state)
            self._events.record(service, instance, "breaker", change, after.reason)
        self._expect(service, instance)

    def find(self, service: str, instance: str | None) -> CircuitBreaker | None:
        """Return a breaker; None if nothing has that name now."""
        if (route := self._router.route(service)) is None:
            return None
        try:
            return route.breaker if instance is None else route.instance_breaker(instance)
        except KeyError:
            return None

    def _moved(self, event: BreakerEvent) -> None:
        change = (event.transition.before, event.transition.after)
        reason = event.transition.reason
        self._events.record(event.service, event.instance, "breaker", change, reason)
        self._expect(event.service, event.instance)

    def _expect(self, service: str, instance: str | None) -> None:
        """Ask the breaker again when time alone will have moved it."""
        key = (service, instance)
        breaker = self.find(service, instance)
        now = self._clock.now()
        # Asking may move it, which comes back here: so it is asked before anything is changed.
        until = breaker.snapshot(now).until if breaker is not None else None
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if until is not None:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(max(0.0, until - now) + _LATE, self._due, key)

    def _due(self, key: _Key) -> None:
        del self._timers[key]
        self._expect(*key)  # it moves now, or it was replaced, or the timer came too early

    def _registry_changed(self, event: RegistryEvent) -> None:
        """Look at the breakers when an instance comes into rotation, or leaves it.

        A service has been replaced when the last of the old instances leaves, which may be
        after the last new one has come.
        """
        route = self._router.route(event.service)
        either = (event.before, event.after)
        if route is not None and any(instance and instance.in_rotation for instance in either):
            route.catch_up(self._clock.now())
