"""The router's decisions: registry → discovery → balancer → breaker → instance.

No I/O: a proxy asks (`begin`, `pick`), does what it is told, and reports what happened
(`answered`, `failed`, `broken`, `finish`). The order of the stations is router.md's "One
call, outermost first".
"""

import logging
from collections.abc import Callable

from msctl.core.breaker_options import BreakerOptions
from msctl.core.call import Call
from msctl.core.decision import Again, CallFacts, Refusal, Relay, Wait
from msctl.core.discovery import ServiceDiscovery
from msctl.core.jitter import RandomSource
from msctl.core.lease import Lease
from msctl.core.outcome import Outcome, Reason, Verdict
from msctl.core.registry import RegistryEvent
from msctl.core.route import BreakerEvent, RouteListeners, ServiceRoute
from msctl.core.route_policy import LimitOptions, RetryOptions, RoutePolicy

__all__ = [
    "Again",
    "BreakerEvent",
    "BreakerOptions",
    "Call",
    "CallFacts",
    "Lease",
    "LimitOptions",
    "Outcome",
    "Reason",
    "Refusal",
    "Relay",
    "RetryOptions",
    "RoutePolicy",
    "Router",
    "ServiceRoute",
    "Verdict",
    "Wait",
]

logger = logging.getLogger(__name__)

BreakerListener = Callable[[BreakerEvent], None]
ShortageListener = Callable[[str], bool | None]


class Router:
    """The routes to all services, kept in step with the registry. Belongs to one loop."""

    def __init__(self, discovery: ServiceDiscovery, random: RandomSource) -> None:
        self._discovery = discovery
        self._random = random
        self._routes: dict[str, ServiceRoute] = {}
        self._breaker_listeners: list[BreakerListener] = []
        self._shortage_listeners: list[ShortageListener] = []
        self._listeners = RouteListeners(breaker=self._tell_breaker, shortage=self._tell_shortage)
        # After the discovery's own subscription: woken calls must find the new list.
        self._unsubscribe = discovery.registry.subscribe(self._registry_changed)

    def configure(self, service: str, policy: RoutePolicy) -> ServiceRoute:
        """Make the route to a service, or let an existing one treat calls by this policy."""
        route = self._routes.get(service)
        if route is None:
            route = ServiceRoute(service, policy, self._discovery, self._random, self._listeners)
            self._routes[service] = route
        elif route.policy != policy:
            route.configure(policy)
        return route

    def remove(self, service: str) -> None:
        """Forget a service; calls under way end as they may."""
        if (route := self._routes.pop(service, None)) is not None:
            route.close()

    def route(self, name: str) -> ServiceRoute | None:
        """Return the route to a service, None if there is none."""
        return self._routes.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the services that have a route, in the order of their making."""
        return tuple(self._routes)

    def on_breaker(self, listener: BreakerListener) -> None:
        """Tell `listener` of every change of any breaker; one that raises harms nothing."""
        self._breaker_listeners.append(listener)

    def on_shortage(self, listener: ShortageListener) -> None:
        """Tell `listener` the service for which a call found nobody running or starting.

        If it registers a starting instance before it returns, or answers True, which says
        that there will be one, the call waits for that.
        """
        self._shortage_listeners.append(listener)

    def close(self) -> None:
        """Stop listening to the registry."""
        self._unsubscribe()

    def _registry_changed(self, event: RegistryEvent) -> None:
        if (route := self._routes.get(event.service)) is not None:
            route.registry_changed(event)

    def _tell_breaker(self, event: BreakerEvent) -> None:
        for listener in self._breaker_listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("breaker listener failed", extra={"service": event.service})

    def _tell_shortage(self, service: str) -> bool:
        promised = False
        for listener in self._shortage_listeners:
            try:
                promised = bool(listener(service)) or promised
            except Exception:
                logger.exception("shortage listener failed", extra={"service": service})
        return promised
