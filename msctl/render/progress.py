"""How far an operation has come, service by service, from the daemon's messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from msctl.model import Health, ServiceStatus

Message = Mapping[str, Any]


class Goal(Enum):
    """What an operation wants its services to become."""

    HEALTHY = auto()
    STOPPED = auto()
    COMPLETED = auto()


class Phase(Enum):
    """Where a service is on its way, as a person would say it."""

    WAITING = "waiting"
    STARTING = "starting"
    HEALTHY = "healthy"
    COMPLETED = "completed"
    UNHEALTHY = "unhealthy"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


_BY_STATUS = {
    ServiceStatus.STARTING: Phase.STARTING,
    ServiceStatus.BACKOFF: Phase.FAILED,
    ServiceStatus.ERROR: Phase.FAILED,
    ServiceStatus.DRAINING: Phase.STOPPING,
    ServiceStatus.STOPPING: Phase.STOPPING,
    ServiceStatus.COMPLETED: Phase.COMPLETED,
    ServiceStatus.STOPPED: Phase.WAITING,
}
_REACHED = {
    Goal.HEALTHY: frozenset({Phase.HEALTHY, Phase.COMPLETED}),
    Goal.STOPPED: frozenset({Phase.STOPPED, Phase.COMPLETED}),
    Goal.COMPLETED: frozenset({Phase.COMPLETED}),
}


@dataclass(slots=True)
class _InstanceState:
    status: str
    health: str

    @property
    def ready(self) -> bool:
        return self.status == ServiceStatus.RUNNING and self.health == Health.HEALTHY


@dataclass(slots=True)
class ServiceProgress:
    """One service; times are those of the clock that the caller uses."""

    name: str
    replicas: int
    ready: int
    dependencies: tuple[str, ...]
    phase: Phase
    began: float
    ended: float | None = None
    reason: str = ""
    instances: dict[str, _InstanceState] = field(default_factory=dict)


class Progress:
    """Takes the daemon's messages and says which services have moved on."""

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.services: dict[str, ServiceProgress] = {}

    def reached(self, service: ServiceProgress) -> bool:
        """Whether a service has become what the operation wants."""
        return service.phase in _REACHED[self.goal]

    def waits_for(self, service: ServiceProgress) -> list[str]:
        """Return the dependencies that hold a waiting service back."""
        found = (self.services.get(name) for name in service.dependencies)
        return [other.name for other in found if other and not self.reached(other)]

    def accepted(self, message: Message, now: float) -> None:
        """Take the list of services that the operation is about."""
        for entry in message["services"]:
            service = ServiceProgress(
                name=entry["name"],
                replicas=entry["replicas"],
                ready=entry["ready"],
                dependencies=tuple(entry.get("dependencies", ())),
                phase=Phase.WAITING,
                began=now,
            )
            health = entry["health"] if service.ready < service.replicas else Health.HEALTHY
            service.phase = self._phase(service, entry["status"], health)
            self.services[service.name] = service

    def event(self, message: Message, now: float) -> ServiceProgress | None:
        """Take one event; return the service when its phase changed or it gave a reason."""
        service = self.services.get(message["service"])
        if service is None or message["kind"] not in {"status", "health"}:
            return None
        status, health = self._note(service, message)
        service.reason = message.get("reason") or ""
        phase = self._phase(service, status, health)
        if phase is service.phase:
            return None
        if service.phase is Phase.WAITING:
            service.began = now
        service.phase = phase
        service.ended = now if self.reached(service) else None
        return service

    def _note(self, service: ServiceProgress, message: Message) -> tuple[str, str]:
        """Record an instance's change; return what this makes of the service."""
        key, value, before = message["kind"], message["to"], message.get("from")
        instance = service.instances.get(message.get("instance") or "")
        if instance is None:
            known = service.ready > 0 and before in {ServiceStatus.RUNNING, Health.HEALTHY}
            instance = _InstanceState(ServiceStatus.STARTING, Health.UNKNOWN)
            if known:
                instance = _InstanceState(ServiceStatus.RUNNING, Health.HEALTHY)
            service.instances[message.get("instance") or ""] = instance
        was_ready = instance.ready
        if key == "status":
            instance.status = value
        else:
            instance.health = value
            if value == Health.HEALTHY:  # only what runs is checked
                instance.status = ServiceStatus.RUNNING
        service.ready += instance.ready - was_ready
        return instance.status, instance.health

    def _phase(self, service: ServiceProgress, status: str, health: str) -> Phase:
        if status == ServiceStatus.STOPPED and self.goal is Goal.STOPPED:
            return Phase.STOPPED if service.ready == 0 else Phase.STOPPING
        if status != ServiceStatus.RUNNING:
            return _BY_STATUS[ServiceStatus(status)]
        if self.goal is Goal.HEALTHY and service.ready >= service.replicas:
            return Phase.HEALTHY
        return Phase.UNHEALTHY if health == Health.UNHEALTHY else Phase.STARTING
