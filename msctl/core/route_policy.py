"""How calls to one service are treated, in the router's own terms."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msctl.config.traffic import Algorithm
from msctl.core.breaker_options import BreakerOptions

if TYPE_CHECKING:
    from msctl.config.models import ServiceConfig


START_PATIENCE = 3.0
"""Seconds that a call waits for an instance that is starting (router.md, Breaker 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions:
    """Which calls are tried again, and how often (router.md, Retries)."""

    attempts: int = 3
    """Attempts in all, the first one included."""
    budget: float = 0.2
    """Retries allowed, as a share of the requests."""
    min_per_second: float = 10.0
    """Retries a second that are allowed besides."""
    idempotency_key: bool = False
    """Whether `Idempotency-Key` makes a POST repeatable; the reader of heads applies it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOptions:
    """How much a service takes on at once."""

    in_flight: int = 1024
    """Calls under way, over all instances."""
    per_instance: int | None = None
    """Calls under way at one instance; None for no limit."""
    queue: int = 128
    """Calls that may wait for a place."""
    idle: float = 300.0
    """Seconds without a byte after which a body is given up; the proxy applies it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePolicy:
    """Everything that a route needs to know of its service's configuration."""

    timeout: float = 30.0
    """Seconds from the request's head to the response's head, retries and queueing included."""
    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    slow_start: float = 5.0
    """Seconds over which a new instance grows into its share."""
    breaker: BreakerOptions | None = field(default_factory=BreakerOptions)
    """The instances' level, from which the service's is derived; None: off."""
    retries: RetryOptions | None = field(default_factory=RetryOptions)
    """None: a call has one attempt."""
    limits: LimitOptions = field(default_factory=LimitOptions)
    start_patience: float = START_PATIENCE
    """Seconds that a call waits for an instance that is starting."""

    @classmethod
    def from_config(cls, config: "ServiceConfig") -> "RoutePolicy":
        """Return what the user configured."""
        breaker, retries, limits = config.breaker, config.retries, config.limits
        on_demand = config.scaling is not None and config.scaling.min == 0
        return cls(
            timeout=config.timeout,
            algorithm=config.balancer.algorithm,
            slow_start=config.balancer.slow_start,
            breaker=None if breaker is None else BreakerOptions.for_instance(breaker),
            retries=None
            if retries is None
            else RetryOptions(
                attempts=retries.attempts,
                budget=retries.budget,
                min_per_second=retries.min_per_second,
                idempotency_key=retries.idempotency_key,
            ),
            limits=LimitOptions(
                in_flight=limits.in_flight,
                per_instance=limits.per_instance,
                queue=limits.queue,
                idle=limits.idle,
            ),
            # Whoever calls a service that starts on demand waits for as long as that may take.
            start_patience=config.start_timeout if on_demand else START_PATIENCE,
        )
