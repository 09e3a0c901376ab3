"""From instances to their service: its status, its health, how many are ready (contract.md)."""

from collections.abc import Iterable
from dataclasses import dataclass

from msctl.model import Health, ServiceInstance, ServiceStatus

PRECEDENCE = (
    ServiceStatus.RUNNING,
    ServiceStatus.STARTING,
    ServiceStatus.BACKOFF,
    ServiceStatus.ERROR,
    ServiceStatus.DRAINING,
    ServiceStatus.STOPPING,
    ServiceStatus.COMPLETED,
    ServiceStatus.STOPPED,
)
"""A service has the first of these that any of its instances has (contract.md, Output)."""

_FAILED = frozenset({ServiceStatus.BACKOFF, ServiceStatus.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSummary:
    """What is said of a service as a whole.

    `ready` counts instances that are running and healthy, whatever their breaker says.
    `started` is true once a process of it has been started and has not failed: what a
    dependency with the condition `started` waits for.
    """

    status: ServiceStatus
    health: Health
    ready: int
    started: bool


def summarize(instances: Iterable[ServiceInstance], wanted: int) -> ServiceSummary:
    """Aggregate the instances of one service, of which `wanted` should be healthy.

    A service without instances is stopped and its health unknown.
    """
    present = tuple(instances)
    statuses = {instance.status for instance in present}
    return ServiceSummary(
        status=next((s for s in PRECEDENCE if s in statuses), ServiceStatus.STOPPED),
        health=_health(present, wanted),
        ready=_ready(present),
        started=any(_has_started(instance) for instance in present),
    )


def _ready(instances: tuple[ServiceInstance, ...]) -> int:
    return sum(i.in_rotation and i.health is Health.HEALTHY for i in instances)


def _health(instances: tuple[ServiceInstance, ...], wanted: int) -> Health:
    """Healthy: all wanted replicas; degraded: some answer; unhealthy: none; unknown: not yet."""
    if _ready(instances) >= max(wanted, 1):
        return Health.HEALTHY
    if any(instance.in_rotation for instance in instances):
        return Health.DEGRADED
    if any(i.health is Health.UNHEALTHY or i.status in _FAILED for i in instances):
        return Health.UNHEALTHY
    return Health.UNKNOWN


def _has_started(instance: ServiceInstance) -> bool:
    if instance.status is ServiceStatus.STARTING:
        return instance.started_at is not None
    return instance.status in {ServiceStatus.RUNNING, ServiceStatus.COMPLETED}
