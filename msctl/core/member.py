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

    __slots__ = ("aside_until", "breaker", "instance", "leaving", "load")

    def __init__(self, instance: ServiceInstance, breaker: CircuitBreaker, load: Load) -> None:
        self.instance = instance
        self.breaker = breaker
        self.load = load
        self.aside_until: float | None = None
        """Until when it asked to be left alone (503 with Retry-After); monotonic seconds."""
        self.leaving = instance.status in _LEAVING
        """Whether we stop or restart it: what fails because of that is not counted."""

    @property
    def key(self) -> ProcessKey:
        """The process's identity: id and generation."""
        return (self.instance.id, self.instance.generation)

    @property
    def alive(self) -> bool:
        """Whether its process runs and is not being stopped."""
        return self.instance.status is ServiceStatus.RUNNING

    @property
    def starting(self) -> bool:
        """Whether it may soon be able to take calls."""
        return self.instance.status is ServiceStatus.STARTING

    @property
    def healthy(self) -> bool:
        """Whether it is in the first choice of candidates."""
        return self.instance.health is Health.HEALTHY

    def is_aside(self, now: float) -> bool:
        """Whether it is left alone at its own request."""
        if self.aside_until is not None and self.aside_until <= now:
            self.aside_until = None
        return self.aside_until is not None

    def update(self, instance: ServiceInstance) -> None:
        """Take in what the registry says of this process now."""
        self.instance = instance
        if instance.status in _LEAVING:
            self.leaving = True

    def left(self) -> None:
        """Take in that it is no longer registered: our doing, unless it had crashed."""
        if self.instance.status not in _CRASHED:
            self.leaving = True
