"""The status document of contract.md: every configured service, stopped ones too."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from msctl.clock import Clock, timestamp
from msctl.config.models import ServiceConfig
from msctl.core.router import ServiceRoute
from msctl.core.summary import ServiceSummary
from msctl.model import ServiceInstance, ServiceStatus
from msctl.runtime.breaker_document import brief
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.proctree import resident_memory

SCHEMA_VERSION = 1
_TURN = 0.0005
"""Seconds of the loop that a document takes at once."""
_REGISTERED = frozenset({ServiceStatus.STARTING, ServiceStatus.RUNNING})


class StatusReport:
    """Reads the status of the whole fleet, or of some services."""

    def __init__(self, fleet: Orchestrator, gateway_url: str, started_at: float) -> None:
        self._fleet = fleet
        self._gateway_url = gateway_url
        self._started_at = started_at

    async def document(self, names: Iterable[str] = ()) -> dict[str, Any]:
        """Return the document; `names` limits the list, never the totals."""
        configs = self._fleet.services()
        chosen = set(names) or configs.keys()
        services: list[dict[str, Any]] = []
        running = registered = 0
        pace = _Pace(self._fleet.clock)
        for name, service in configs.items():
            summary, instances = self._fleet.summary(name), self._fleet.instances(name)
            running += summary.status is ServiceStatus.RUNNING
            registered += sum(i.status in _REGISTERED for i in instances)
            if name in chosen:
                services.append(self._service(service, summary, instances))
                route = self._fleet.router.route(name)
                for instance in instances:
                    services[-1]["instances"].append(self._instance(instance, route))
                    await pace.rest_if_due()
            await pace.rest_if_due()
        await asyncio.to_thread(_fill_in_memory, services)
        return {
            "schema_version": SCHEMA_VERSION,
            "project": self._fleet.fleet.project,
            "isolated": self._fleet.fleet.isolated,
            "gateway": self._gateway_url,
            "uptime": round(self._fleet.clock.now() - self._started_at, 3),
            "total_services": len(configs),
            "running_services": running,
            "registered_services": registered,
            "services": services,
        }

    def _service(
        self,
        service: ServiceConfig,
        summary: ServiceSummary,
        instances: tuple[ServiceInstance, ...],
    ) -> dict[str, Any]:
        name = service.name
        resolved = self._fleet.resolved(name) or service
        wish = self._fleet.wish(name)
        route, now = self._fleet.router.route(name), self._fleet.clock.now()
        return {
            "name": name,
            "description": service.description,
            "service_type": service.service_type,
            "status": summary.status,
            "health": summary.health,
            "port": resolved.port,
            "url": resolved.url,
            "replicas": wish.replicas if wish and wish.wanted else service.replicas,
            "wanted": wish.replicas if wish else 0,
            "ready": summary.ready,
            "restarts": sum(instance.restarts for instance in instances),
            "dependencies": [dependency.name for dependency in service.dependencies],
            "balancer": service.balancer.algorithm,
            "breaker": brief(route.breaker.snapshot(now) if route else None, now),
            "reason": self._reason(name, instances),
            "instances": [],
        }

    def _reason(self, name: str, instances: tuple[ServiceInstance, ...]) -> str:
        if reasons := [instance.reason for instance in instances if instance.reason]:
            return reasons[0]
        wish = self._fleet.wish(name)
        needs = self._fleet.waits_for(name) if wish and wish.replicas and not instances else []
        return f"waits for {', '.join(needs)}" if needs else ""

    def _breaker(self, instance: ServiceInstance, route: ServiceRoute | None) -> dict[str, Any]:
        now = self._fleet.clock.now()
        with suppress(KeyError):
            if route is not None:
                return brief(route.instance_breaker(instance.id).snapshot(now), now)
        return brief(None, now)

    def _instance(self, instance: ServiceInstance, route: ServiceRoute | None) -> dict[str, Any]:
        started = instance.started_at
        alive = instance.pid is not None
        return {
            "id": instance.id,
            "generation": instance.generation,
            "pid": instance.pid,
            "host": instance.host,
            "port": instance.port,
            "status": instance.status,
            "health": instance.health,
            "connections": route.connections(instance.id) if route else 0,
            "breaker": self._breaker(instance, route),
            "restarts": instance.restarts,
            "exit_code": instance.exit_code,
            "started_at": _started_at(started) if started is not None else None,
            "uptime": round(self._fleet.clock.wall() - started, 3)
            if alive and started is not None
            else None,
            "rss": None,  # see _fill_in_memory
            "reason": instance.reason,
        }


class _Pace:
    """Divides long work into turns of the loop: no call waits longer than one of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.now() + _TURN

    async def rest_if_due(self) -> None:
        if self._clock.now() >= self._until:
            await asyncio.sleep(0)
            self._until = self._clock.now() + _TURN


@lru_cache(maxsize=1024)
def _started_at(wall: float) -> str:
    """Spell out a time that is asked for again and again: an instance starts once."""
    return timestamp(wall)


def _fill_in_memory(services: list[dict[str, Any]]) -> None:
    """Complete the services with what only /proc knows; not for the loop's thread."""
    for service in services:
        for instance in service["instances"]:
            if instance["pid"] is not None:
                instance["rss"] = resident_memory(instance["pid"]) or None
