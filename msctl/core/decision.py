"""What the router is asked and what it answers, as values."""

from dataclasses import dataclass, field

from msctl.core.outcome import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What the router has to know of a request."""

    idempotent: bool
    """Whether sending it twice does no harm (RFC 9110 §9.2.2, or an accepted key)."""
    instance: str | None = None
    """The id of the only instance that may get it; None for any."""
    timeout: float | None = None
    """Seconds that are left for it, in place of the service's own limit."""
    counts_against_limits: bool = True
    """False for tunnels and event streams: connections, but not under the limits."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call is over, and the router answers it."""

    reason: Reason
    status: int
    detail: str
    retry_after: float | None = None
    """Seconds; None where no time can be named or none makes sense."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to give now: ask again when woken, or at `until` (monotonic seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Again:
    """Ask for another instance after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Relay:
    """Give this response to the caller."""


@dataclass(slots=True, kw_only=True)
class Ask:
    """What one call would accept; grows narrower with every attempt."""

    idempotent: bool
    instance: str | None
    counted: bool
    tried: set[tuple[str, int]] = field(default_factory=set)
    """Ids and generations of the processes that have had it."""
    lost: set[tuple[str, int]] = field(default_factory=set)
    """Those that broke the connection: the registry will soon tell what became of them."""

    @property
    def unconstrained(self) -> bool:
        """Whether it accepts whatever any other call would accept."""
        return self.idempotent and not self.tried and self.instance is None
