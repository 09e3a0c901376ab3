"""How the fleet is at this moment, as far as the router knows it: read, not recorded."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from msctl.core.registry import ServiceRegistry
from msctl.core.router import Router, ServiceRoute
from msctl.model import BreakerState, ServiceInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceGauges:
    """An instance now; `breaker` is None where there is no route to it."""

    instance: ServiceInstance
    connections: int
    breaker: BreakerState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteGauges:
    """The calls to one service now."""

    service: str
    in_flight: int
    queued: int
    breaker: BreakerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The whole fleet now; a service that binds its own port has instances and no route."""

    routes: tuple[RouteGauges, ...]
    instances: tuple[InstanceGauges, ...]
    tasks: int
    """Of the daemon's event loop: steady under a steady load, or something is left behind."""


def read_gauges(router: Router, registry: ServiceRegistry, now: float) -> Gauges:
    """Read everything; `now` is monotonic. Called on the daemon's loop."""
    routes = [route for name in router.names() if (route := router.route(name)) is not None]
    return Gauges(
        routes=tuple(
            RouteGauges(
                service=route.name,
                in_flight=route.in_flight,
                queued=route.queued,
                breaker=route.breaker.state(now),
            )
            for route in routes
        ),
        instances=tuple(
            _instance(instance, router.route(service), now)
            for service, instances in registry.get_all_services().items()
            for instance in instances
        ),
        tasks=len(asyncio.all_tasks()),
    )


def _instance(instance: ServiceInstance, route: ServiceRoute | None, now: float) -> InstanceGauges:
    breaker = None
    if route is not None:
        with suppress(KeyError):  # the route has not taken it in, or no longer has it
            breaker = route.instance_breaker(instance.id).state(now)
    return InstanceGauges(
        instance=instance,
        connections=0 if route is None else route.connections(instance.id),
        breaker=breaker,
    )
