"""The words that every layer shares: three facts with three owners, and an instance."""

from dataclasses import dataclass
from enum import StrEnum


class ServiceStatus(StrEnum):
    """Is the process alive? Owned by the lifecycle."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    COMPLETED = "completed"
    ERROR = "error"


class Health(StrEnum):
    """Is it ready? Owned by the health checks."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class BreakerState(StrEnum):
    """Does it get traffic? Owned by the circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


class ServiceType(StrEnum):
    """What a service is; decides who binds its port and how it is checked by default."""

    API = "api"
    WORKER = "worker"
    DATABASE = "database"
    CACHE = "cache"
    MESSAGE_QUEUE = "message_queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInstance:
    """One running process of a service, as the registry knows it.

    `id` is `NAME-N`; a crash restart keeps it and raises `generation`, so that what is
    still under way for the dead process (probes, connections, breaker results) can be
    told apart and dropped. `port` is the private one the process listens on; None for
    workers. `started_at` is wall-clock seconds since the epoch.
    """

    id: str
    service: str
    generation: int = 1
    host: str = "127.0.0.1"
    port: int | None = None
    pid: int | None = None
    status: ServiceStatus = ServiceStatus.STARTING
    health: Health = Health.UNKNOWN
    weight: int = 1
    restarts: int = 0
    exit_code: int | None = None
    started_at: float | None = None
    reason: str = ""
    """Why it is as it is, in words: the last probe's answer, the exit code, the signal."""

    @property
    def in_rotation(self) -> bool:
        """Whether it may be given requests, its breaker aside (router.md, Registry and health)."""
        return self.status is ServiceStatus.RUNNING and self.health in _READY


_READY = frozenset({Health.HEALTHY, Health.DEGRADED})
