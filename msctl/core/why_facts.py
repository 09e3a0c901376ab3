"""What is known when somebody asks why a service is as it is: values, gathered elsewhere.

All times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msctl.config.models import Dependency
from msctl.model import BreakerState, Health, ServiceStatus


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a process wrote."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process of an instance, as its log tells it."""

    pid: int | None = None
    """None for one that could not be started at all."""
    started: float | None = None
    lines: tuple[Line, ...] = ()
    """The last ones that it wrote."""
    ended: float | None = None
    ending: str = ""
    """How, in the words of the log: `exited with code 1`, `killed by SIGKILL`, `stopped`."""
    given_up: str = ""
    """Why no other one follows it, if that is so."""
    restarts_at: float | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended in a way that nobody asked for."""
        return bool(self.given_up) or self.ending not in _WELL


_WELL = frozenset({"", "stopped", "exited with code 0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerFacts:
    """A circuit breaker; `left` is for how many seconds more it is open or forced."""

    state: BreakerState = BreakerState.CLOSED
    reason: str = ""
    since: float | None = None
    left: float | None = None

    @property
    def keeps_out(self) -> bool:
        """Whether it refuses calls, or all but a few."""
        return self.state in _REFUSING


_REFUSING = frozenset({BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.FORCED_OPEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFacts:
    """One instance that is there; `reason` is what the registry says of it."""

    id: str
    status: ServiceStatus
    health: Health = Health.UNKNOWN
    pid: int | None = None
    port: int | None = None
    restarts: int = 0
    connections: int = 0
    reason: str = ""
    started_at: float | None = None
    since: float | None = None
    """When its status or health last changed."""
    process_state: str = ""
    """The letter of /proc/PID/stat; empty when it cannot be told."""
    breaker: BreakerFacts = BreakerFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """One service: what is wanted of it, what there is of it, and what its logs tell."""

    name: str
    port: int | None = None
    binds_own_port: bool = False
    status: ServiceStatus = ServiceStatus.STOPPED
    health: Health = Health.UNKNOWN
    wanted: int = 0
    standby: bool = False
    """Whether it is scaled to none and still wanted."""
    ready: int = 0
    dependencies: tuple[Dependency, ...] = ()
    unmet: tuple[str, ...] = ()
    """The dependencies that it waits for."""
    restart: str = "on-failure"
    check: str = ""
    """What its health check asks, in words; empty when it has none."""
    start_timeout: float = 30.0
    drain_timeout: float = 10.0
    breaker: BreakerFacts = BreakerFacts()
    instances: tuple[InstanceFacts, ...] = ()
    runs: Mapping[str, tuple[Run, ...]] = field(default_factory=dict)
    """By instance, those that are no more included; the newest process last."""
    shown_stopped: float | None = None
    """When the last of its instances was seen to stop."""

    def last_run(self, instance: str) -> Run | None:
        """Return the newest process of an instance."""
        runs = self.runs.get(instance, ())
        return runs[-1] if runs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortHolder:
    """The process that listens on a port; `pid` is None where the system does not tell."""

    text: str
    """For people: `pid 4312 (postgres -D …)`."""
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A service, all that it depends on, and the machine, at one moment."""

    now: float
    services: Mapping[str, ServiceFacts]
    holders: Mapping[int, PortHolder] = field(default_factory=dict)
    """Who listens on the ports that matter."""
    memory_kills: int = 0
    """Processes that the kernel has killed for lack of memory since the fleet started."""
    running: bool = True
    """Whether there is a daemon at all."""
