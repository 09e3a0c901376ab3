"""The numbers of a circuit breaker, and the presets for its two levels."""

from dataclasses import dataclass, replace
from typing import Protocol

SERVICE_CALLS_FACTOR = 2
"""A service's rate needs twice the calls of an instance's: 20 instead of 10 (router.md)."""

SERVICE_PROBES = 3
"""Probes that a half-open service admits, and successes that close it (router.md)."""


class BreakerNumbers(Protocol):
    """What a user may set (contract.md, `breaker`)."""

    @property
    def failure_threshold(self) -> int | None: ...  # noqa: D102 - as in BreakerOptions
    @property
    def timeout(self) -> float: ...  # noqa: D102 - as in BreakerOptions
    @property
    def failure_rate(self) -> float | None: ...  # noqa: D102 - as in BreakerOptions
    @property
    def minimum_calls(self) -> int: ...  # noqa: D102 - as in BreakerOptions
    @property
    def window(self) -> float: ...  # noqa: D102 - as in BreakerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOptions:
    """When a breaker opens, for how long, and what closes it (router.md, Breaker)."""

    failure_threshold: int | None = 5
    """Failures in a row that open it; None: no run of failures does."""
    failure_rate: float | None = 0.5
    """Share of bad calls in the window that opens it; None: no rate does."""
    minimum_calls: int = 10
    """Calls in the window below which the rate says nothing."""
    window: float = 10.0
    """Seconds over which calls are counted."""
    base_open: float = 5.0
    """Seconds that it stays open the first time; doubles with every opening in a row."""
    timeout: float = 60.0
    """The most seconds that it stays open, before jitter."""
    jitter: float = 0.5
    """By up to this share an opening is made longer, so that breakers do not probe in step."""
    forget_after: float = 10.0
    """Seconds closed that take one doubling back."""
    probes: int = 1
    """Calls that may be under way at once while it is half-open."""
    successes: int = 1
    """Good probes that close it."""
    probe_limit: float = 31.0
    """Seconds after which a probe that was not given back counts as a failure: the time
    limit of a call (30) plus one."""

    def __post_init__(self) -> None:
        """Refuse numbers with which a breaker could never open, or never close again."""
        positive = {
            "timeout": self.timeout,
            "window": self.window,
            "base_open": self.base_open,
            "forget_after": self.forget_after,
            "probe_limit": self.probe_limit,
            "minimum_calls": self.minimum_calls,
            "probes": self.probes,
            "successes": self.successes,
            "failure_threshold": self.failure_threshold,
            "failure_rate": self.failure_rate,
        }
        if wrong := [name for name, value in positive.items() if value is not None and value <= 0]:
            raise ValueError(f"{', '.join(wrong)}: must be above 0")

    @classmethod
    def for_instance(cls, numbers: BreakerNumbers) -> "BreakerOptions":
        """Return the primary level: it opens soon, admits one probe, closes on one success."""
        return cls(
            failure_threshold=numbers.failure_threshold,
            timeout=numbers.timeout,
            failure_rate=numbers.failure_rate,
            minimum_calls=numbers.minimum_calls,
            window=numbers.window,
        )

    @classmethod
    def for_service(cls, numbers: BreakerNumbers) -> "BreakerOptions":
        """Return the upper level of what the user may set."""
        return cls.for_instance(numbers).at_service_level()

    def at_service_level(self) -> "BreakerOptions":
        """Return the upper level: it opens by rate alone, on twice the calls, and probes thrice."""
        return replace(
            self,
            failure_threshold=None,
            minimum_calls=self.minimum_calls * SERVICE_CALLS_FACTOR,
            probes=SERVICE_PROBES,
            successes=SERVICE_PROBES,
        )


NEVER_OPENS = BreakerOptions(failure_threshold=None, failure_rate=None)
"""`breaker: off`: it can still be forced, but opens on nothing that happens."""
