"""What is counted of every request, at the least cost: plain integers, read when somebody asks.

Only the loop's thread writes them, so there are no locks. A meter is looked up once and may
be held as long as one likes: it goes on counting for the instance's next process, and is
kept when the instance is gone, since a counter that vanishes and begins anew is no counter.
"""

from bisect import bisect_left
from collections import defaultdict
from enum import StrEnum
from typing import Final, Self

from msctl.core.outcome import Outcome, Reason

BOUNDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
"""Seconds, upper ends of the buckets of a duration. On loopback most is below the 5 ms where
Prometheus' own defaults begin; 30 s is the time limit of a call."""

MAX_SERVICES: Final = 1000
MAX_INSTANCES: Final = 1000
"""Of one service, over the daemon's life: ids are used again, so this is its most replicas."""

OTHER: Final = "other"
"""Who counts for all that come when these numbers are reached."""

NO_SERVICE: Final = ""
"""Who counts for requests that are for no service that exists."""


class Cut(StrEnum):
    """Why a request got no answer, or an answer that did not come to its end.

    All but the last three are the `Cause` of the same name.
    """

    CLIENT_GONE = "client_gone"
    CLIENT_FAULT = "client_fault"
    CLIENT_SLOW = "client_slow"
    TIMED_OUT = "timeout"
    IDLE = "idle"
    LOST = "instance_lost"
    BROKEN_BODY = "broken_body"
    """The instance's own doing."""
    STOPPED = "stopped"
    """The front door was closed, and the time to drain was over."""
    FAILED = "internal_error"
    """A defect in msctl; the daemon's log says more."""


class Meter:
    """Answers that came from one instance, or from the router itself."""

    __slots__ = ("attempts", "buckets", "codes", "cuts", "instance", "seconds")

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.codes: defaultdict[int, int] = defaultdict(int)
        """Answers by their status."""
        self.buckets = [0] * (len(BOUNDS) + 1)
        """Answers by their duration, each in one bucket only; the last one has no bound."""
        self.seconds = 0.0
        """All durations together."""
        self.attempts: defaultdict[Outcome, int] = defaultdict(int)
        """Attempts that did not become the answer; those that did are in `codes`."""
        self.cuts: defaultdict[Cut, int] = defaultdict(int)
        """Answers that did not come to their end; they are in `codes` as well."""

    def record(self, status: int, seconds: float) -> None:
        """Count an answer, `seconds` after its request's head had come."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.codes[status] += 1

    def record_long_lived(self, status: int) -> None:
        """Count a tunnel or an event stream: how long it was open is no latency."""
        self.codes[status] += 1

    def attempted(self, outcome: Outcome) -> None:
        """Count an attempt whose response, if there was any, did not become the answer."""
        self.attempts[outcome] += 1

    def cut(self, cut: Cut) -> None:
        """Count that an answer, which is recorded too, did not come to its end."""
        self.cuts[cut] += 1

    def copy(self) -> Self:
        """Return the numbers as they are now, for a thread that takes its time to read them."""
        other = type(self)(self.instance)
        other.codes = self.codes.copy()
        other.buckets = self.buckets.copy()
        other.seconds = self.seconds
        other.attempts = self.attempts.copy()
        other.cuts = self.cuts.copy()
        return other

    def __repr__(self) -> str:
        return f"<Meter {self.instance or 'router'} {dict(self.codes)}>"


class ServiceMeter:
    """What is counted of one service, and the meters of its instances."""

    __slots__ = ("by_instance", "own", "refusals", "retries", "service", "unanswered")

    def __init__(self, service: str) -> None:
        self.service = service
        self.own = Meter("")
        """The router's own answers."""
        self.refusals: defaultdict[Reason, int] = defaultdict(int)
        self.retries = 0
        self.unanswered: defaultdict[Cut, int] = defaultdict(int)
        self.by_instance: dict[str, Meter] = {}
        """The meters of all instances that ever were; see `instance`."""

    def instance(self, instance: str) -> Meter:
        """Return the meter of an instance, the same object each time."""
        meter = self.by_instance.get(instance)
        if meter is None:
            name = instance if len(self.by_instance) < MAX_INSTANCES else OTHER
            meter = self.by_instance.setdefault(name, Meter(name))
        return meter

    def refused(self, reason: Reason, status: int, seconds: float) -> None:
        """Count an answer of the router's own, `seconds` after the request's head had come."""
        self.refusals[reason] += 1
        self.own.record(status, seconds)

    def retried(self, attempts: int) -> None:
        """Count the attempts of one call beyond its first."""
        self.retries += attempts

    def left_unanswered(self, cut: Cut) -> None:
        """Count a request that got no answer at all."""
        self.unanswered[cut] += 1

    def copy(self) -> Self:
        """Return the numbers as they are now; see Meter.copy."""
        other = type(self)(self.service)
        other.own = self.own.copy()
        other.refusals = self.refusals.copy()
        other.retries = self.retries
        other.unanswered = self.unanswered.copy()
        other.by_instance = {name: meter.copy() for name, meter in self.by_instance.items()}
        return other

    def __repr__(self) -> str:
        return f"<ServiceMeter {self.service} {len(self.by_instance)} instances>"


class Meters:
    """All meters of one gateway."""

    def __init__(self) -> None:
        self._services: dict[str, ServiceMeter] = {}

    def service(self, service: str) -> ServiceMeter:
        """Return the meter of a service that exists (else NO_SERVICE), the same each time."""
        meter = self._services.get(service)
        if meter is None:
            name = service if len(self._services) < MAX_SERVICES else OTHER
            meter = self._services.setdefault(name, ServiceMeter(name))
        return meter

    def instance(self, service: str, instance: str) -> Meter:
        """Return the meter of an instance, the same object each time."""
        return self.service(service).instance(instance)

    def copy(self) -> tuple[ServiceMeter, ...]:
        """Return all numbers as they are now; see Meter.copy."""
        return tuple(meter.copy() for meter in self._services.values())

    def __repr__(self) -> str:
        return f"<Meters {', '.join(self._services) or 'none'}>"
