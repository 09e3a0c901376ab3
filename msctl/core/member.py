"""What a route knows of one process: the instance, its breaker, its load."""

from msctl.core.balancer_load import Load
from msctl.core.breaker import CircuitBreaker
from msctl.model import Health, ServiceInstance, ServiceStatus

_LEAVING = frozenset({ServiceStatus.DRAINING, ServiceStatus.STOPPING, ServiceStatus.STOPPED})
_CRASHED = frozenset({ServiceStatus.BACKOFF, ServiceStatus.ERROR, ServiceStatus.COMPLETED})

ProcessKey = tuple[str, int]
"""An instance's id and generation: one process, never its successor."""


class Member:
    """One generation of one instance; a new process gets a new member, with a closed breaker."""

    __slots__ = (
        "alive",
        "aside_until",
        "breaker",
        "healthy",
        "instance",
        "key",
        "leaving",
        "load",
        "ready",
        "starting",
    )

    def __init__(self, instance: ServiceInstance, breaker: CircuitBreaker, load: Load) -> None:
        self.breaker = breaker
        self.load = load
        self.key: ProcessKey = (instance.id, instance.generation)
        self.aside_until: float | None = None
        """Until when it asked to be left alone (503 with Retry-After); monotonic seconds."""
        self.leaving = False
        """Whether we stop or restart it: what fails because of that is not counted."""
        self.update(instance)

    def update(self, instance: ServiceInstance) -> None:
        """Take in what the registry says of this process now.

        What every call asks is worked out here, once: `ready` for in rotation (its breaker
        aside), `alive` for running and not being stopped, `healthy` for not degraded.
        """
        self.instance = instance
        self.ready = instance.in_rotation
        self.healthy = instance.health is Health.HEALTHY
        self.alive = instance.status is ServiceStatus.RUNNING
        self.starting = instance.status is ServiceStatus.STARTING
        if instance.status in _LEAVING:
            self.leaving = True

    def is_aside(self, now: float) -> bool:
        """Whether it is left alone at its own request."""
        if self.aside_until is not None and self.aside_until <= now:
            self.aside_until = None
        return self.aside_until is not None

    def left(self) -> None:
        """Take in that it is no longer registered: our doing, unless it had crashed."""
        if self.instance.status not in _CRASHED:
            self.leaving = True
