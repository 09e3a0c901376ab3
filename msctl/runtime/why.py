"""`msctl why`: gathers what is known of a service and has it explained."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from msctl.clock import Clock
from msctl.config.models import Check, CheckKind, FleetConfig, ServiceConfig
from msctl.config.naming import check_services, nearest_service
from msctl.core.breaker import BreakerSnapshot
from msctl.core.why import explain
from msctl.core.why_facts import BreakerFacts, InstanceFacts, ServiceFacts, Situation
from msctl.errors import UnknownInstance
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.runtime.events import Event
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.statedir import StateDir
from msctl.runtime.why_look import Viewer, memory_kills

SCHEMA_VERSION = 1


class Why:
    """Explains the services of a running fleet."""

    def __init__(self, fleet: Orchestrator, state: StateDir) -> None:
        self._fleet = fleet
        self._viewer = Viewer(state.logs, own=(os.getpid(),))
        self._kills_before = memory_kills()

    async def document(self, name: str) -> dict[str, Any]:
        """Return the chain for SERVICE or SERVICE/INSTANCE.

        Raises UnknownService, UnknownInstance for what is not there.
        """
        service, _, instance = name.partition("/")
        configs = self._fleet.services()
        check_services((service,), configs)
        if instance:
            _check_instance(name, [i.id for i in self._fleet.instances(service)])
        situation = self._snapshot(_reachable(configs, service))
        events = self._fleet.events.kept()
        return await asyncio.to_thread(self._explain, situation, events, service, instance)

    def _explain(
        self, situation: Situation, events: Iterable[Event], service: str, instance: str
    ) -> dict[str, Any]:
        """Do what takes longer than the loop has; runs in a thread."""
        kills = max(0, memory_kills() - self._kills_before)
        situation = self._viewer.complete(situation)
        history = _History(events)
        services = {name: history.of(facts) for name, facts in situation.services.items()}
        situation = replace(situation, services=services, memory_kills=kills)
        return _document(self._fleet.fleet.project, situation, service, instance or None)

    def _snapshot(self, services: Iterable[ServiceConfig]) -> Situation:
        known = {service.name: self._service(service) for service in services}
        return Situation(now=self._fleet.clock.wall(), services=known)

    def _service(self, service: ServiceConfig) -> ServiceFacts:
        name, fleet = service.name, self._fleet
        wish, summary = fleet.wish(name), fleet.summary(name)
        resolved = fleet.resolved(name) or service
        route, clock = fleet.router.route(name), fleet.clock
        has_breaker = route is not None and service.is_http
        return replace(
            _configured(resolved),
            status=summary.status,
            health=summary.health,
            wanted=wish.replicas if wish else 0,
            standby=wish.standby if wish else False,
            ready=summary.ready,
            unmet=tuple(fleet.waits_for(name)),
            breaker=_breaker(route.breaker.snapshot(clock.now()), clock)
            if has_breaker and route
            else BreakerFacts(),
            instances=tuple(map(self._instance, fleet.instances(name))),
        )

    def _instance(self, instance: ServiceInstance) -> InstanceFacts:
        route, clock = self._fleet.router.route(instance.service), self._fleet.clock
        breaker = BreakerFacts()
        with suppress(KeyError):  # the router has not heard of it
            if route is not None:
                snapshot = route.instance_breaker(instance.id).snapshot(clock.now())
                breaker = _breaker(snapshot, clock)
        return InstanceFacts(
            id=instance.id,
            status=instance.status,
            health=instance.health,
            pid=instance.pid,
            port=instance.port,
            restarts=instance.restarts,
            connections=route.connections(instance.id) if route else 0,
            reason=instance.reason,
            started_at=instance.started_at,
            breaker=breaker,
        )


def document_without_daemon(
    fleet: FleetConfig, state: StateDir, name: str, now: float
) -> dict[str, Any]:
    """Return the chain that the configuration and the logs of the last run give.

    `now` is in seconds since the epoch. Raises UnknownService. An instance is not looked
    for: there is none.
    """
    service = name.partition("/")[0]
    check_services((service,), fleet.services)
    known = {each.name: _configured(each) for each in _reachable(fleet.services, service)}
    situation = Situation(now=now, services=known, running=False)
    situation = Viewer(state.logs).complete(situation)
    return _document(fleet.project, situation, service, None)


def _document(
    project: str, situation: Situation, service: str, instance: str | None
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "project": project,
        "service": service,
        "instance": instance,
        "chain": [asdict(step) for step in explain(situation, service, instance)],
    }


class _History:
    """When things last changed, as the kept events tell; in seconds since the epoch."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._changed: dict[str, float] = {}
        """By instance: its status or its health."""
        self._stopped: dict[str, float] = {}
        """By service: when one of its instances stopped."""
        for event in events:
            if event.instance is None or event.kind not in {"status", "health"}:
                continue
            time = datetime.fromisoformat(event.time).timestamp()
            self._changed[event.instance] = time
            if event.after == ServiceStatus.STOPPED:
                self._stopped[event.service] = time

    def of(self, service: ServiceFacts) -> ServiceFacts:
        """Return what is known of a service with its times."""
        instances = tuple(replace(i, since=self._changed.get(i.id)) for i in service.instances)
        stopped = self._stopped.get(service.name)
        return replace(service, instances=instances, shown_stopped=stopped)


def _reachable(configs: Mapping[str, ServiceConfig], name: str) -> list[ServiceConfig]:
    """Return a service and all that it depends on, directly or not."""
    found = [name]
    for each in found:
        needs = [d.name for d in configs[each].dependencies]
        found += [need for need in dict.fromkeys(needs) if need in configs and need not in found]
    return [configs[each] for each in found]


def _check_instance(name: str, instances: list[str]) -> None:
    service, _, instance = name.partition("/")
    if instance not in instances:
        nearest = nearest_service(instance, instances)
        raise UnknownInstance(name, f"{service}/{nearest}" if nearest else None)


def _configured(service: ServiceConfig) -> ServiceFacts:
    """Return what the configuration says of a service, as of one of which there is nothing."""
    retries = service.restart.max_retries
    return ServiceFacts(
        name=service.name,
        port=service.port if isinstance(service.port, int) else None,
        binds_own_port=service.binds_own_port,
        health=Health.UNKNOWN,
        dependencies=service.dependencies,
        restart=service.restart.policy + (f":{retries}" if retries is not None else ""),
        check=_check(service.effective_check),
        start_timeout=service.start_timeout,
        drain_timeout=service.drain_timeout,
    )


def _check(check: Check | None) -> str:
    match check:
        case Check(kind=CheckKind.HTTP):
            return f"GET {check.path}"
        case Check(kind=CheckKind.TCP):
            return "a connection to its port"
        case Check(kind=CheckKind.COMMAND):
            return (check.command or ("its command",))[0]
    return ""


def _breaker(snapshot: BreakerSnapshot, clock: Clock) -> BreakerFacts:
    now = clock.now()
    return BreakerFacts(
        state=snapshot.state,
        reason=snapshot.reason,
        since=None if snapshot.since is None else clock.wall() - (now - snapshot.since),
        left=None if snapshot.until is None else max(0.0, snapshot.until - now),
    )
