"""The status document of contract.md: every configured service, stopped ones too."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from msctl.clock import timestamp
from msctl.config.models import ServiceConfig
from msctl.core.router import ServiceRoute
from msctl.model import ServiceInstance, ServiceStatus
from msctl.runtime.breaker_document import brief
from msctl.runtime.orchestrator import Orchestrator

SCHEMA_VERSION = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_REGISTERED = frozenset({ServiceStatus.STARTING, ServiceStatus.RUNNING})


class StatusReport:
    """Reads the status of the whole fleet, or of some services."""

    def __init__(self, fleet: Orchestrator, gateway_url: str, started_at: float) -> None:
        self._fleet = fleet
        self._gateway_url = gateway_url
        self._started_at = started_at

    async def document(self, names: Iterable[str] = ()) -> dict[str, Any]:
        """Return the document; `names` limits the list, never the totals."""
        document = self._snapshot(names)
        await asyncio.to_thread(_fill_in_memory, document)
        return document

    def _snapshot(self, names: Iterable[str]) -> dict[str, Any]:
        configs = self._fleet.services()
        chosen = set(names) or configs.keys()
        instances = [i for name in configs for i in self._fleet.instances(name)]
        running = sum(self._fleet.summary(name).status is ServiceStatus.RUNNING for name in configs)
        return {
            "schema_version": SCHEMA_VERSION,
            "project": self._fleet.fleet.project,
            "gateway": self._gateway_url,
            "uptime": round(self._fleet.clock.now() - self._started_at, 3),
            "total_services": len(configs),
            "running_services": running,
            "registered_services": sum(i.status in _REGISTERED for i in instances),
            "services": [self._service(s) for name, s in configs.items() if name in chosen],
        }

    def _service(self, service: ServiceConfig) -> dict[str, Any]:
        name = service.name
        resolved = self._fleet.resolved(name) or service
        wish = self._fleet.wish(name)
        summary = self._fleet.summary(name)
        instances = self._fleet.instances(name)
        route, now = self._fleet.router.route(name), self._fleet.clock.now()
        return {
            "name": name,
            "description": service.description,
            "service_type": service.service_type,
            "status": summary.status,
            "health": summary.health,
            "port": resolved.port,
            "url": resolved.url,
            "replicas": wish.replicas if wish and wish.replicas else service.replicas,
            "wanted": wish.replicas if wish else 0,
            "ready": summary.ready,
            "restarts": sum(instance.restarts for instance in instances),
            "dependencies": [dependency.name for dependency in service.dependencies],
            "balancer": service.balancer.algorithm,
            "breaker": brief(route.breaker.snapshot(now) if route else None, now),
            "reason": self._reason(name, instances),
            "instances": [self._instance(instance, route) for instance in instances],
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
            "started_at": timestamp(started) if started is not None else None,
            "uptime": round(self._fleet.clock.wall() - started, 3)
            if alive and started is not None
            else None,
            "rss": None,  # see _fill_in_memory
            "reason": instance.reason,
        }


def _fill_in_memory(document: dict[str, Any]) -> None:
    """Complete a status document with what only /proc knows; not for the loop's thread."""
    for service in document["services"]:
        for instance in service["instances"]:
            if instance["pid"] is not None:
                instance["rss"] = _rss(instance["pid"])


def _rss(pid: int) -> int | None:
    """Return the resident memory of a process in bytes; None when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc", str(pid), "statm").read_bytes().split()[1]) * _PAGE
    return None
