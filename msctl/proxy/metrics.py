"""What was counted, and how the fleet is, in Prometheus' words.

Only msctl's own metrics: the collector has a registry to itself. Labels are the ids of
contract.md: `instance` is the string that `status` shows and `X-Msctl-Instance` carries,
empty where the router itself is meant.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from msctl.core.outcome import Outcome
from msctl.model import BreakerState, Health, ServiceStatus
from msctl.proxy.gauges import Gauges
from msctl.proxy.meters import BOUNDS, Meter, ServiceMeter

_EDGES: Final = (*(str(bound) for bound in BOUNDS), "+Inf")
_BOTH: Final = ("service", "instance")
_OPENMETRICS: Final = "application/openmetrics-text"

Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class FleetCollector(Collector):
    """One reading of everything; it is the caller's own and does not change any more."""

    counted: tuple[ServiceMeter, ...]
    gauges: Gauges

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from self._answers()
        yield from self._calls()
        yield from self._routes()
        yield from self._instances()
        yield _gauge(
            "msctl_daemon_tasks", "Tasks on the daemon's event loop.", (), [((), self.gauges.tasks)]
        )

    def _answers(self) -> Iterator[Metric]:
        yield _counter(
            "msctl_requests",
            "Requests answered, by who answered (no instance: the router) and status code.",
            (*_BOTH, "code"),
            (((s, i, str(code)), n) for s, i, m in self._meters() for code, n in m.codes.items()),
        )
        durations = HistogramMetricFamily(
            "msctl_request_duration_seconds",
            "Time from a request's head to the end of its answer; no tunnels, no event streams.",
            labels=_BOTH,
        )
        for service, instance, meter in self._meters():
            sums = map(float, accumulate(meter.buckets))
            buckets = list(zip(_EDGES, sums, strict=True))
            durations.add_metric((service, instance), buckets, meter.seconds)
        yield durations
        yield _counter(
            "msctl_responses_cut",
            "Answers that did not come to their end, by reason.",
            (*_BOTH, "reason"),
            (((s, i, cut.value), n) for s, i, m in self._meters() for cut, n in m.cuts.items()),
        )
        yield _counter(
            "msctl_attempts",
            "Attempts on instances, by outcome.",
            (*_BOTH, "outcome"),
            (
                ((s, i, outcome.value), n)
                for s, i, m in self._meters()
                if i
                for outcome, n in _attempts(m).items()
            ),
        )

    def _calls(self) -> Iterator[Metric]:
        yield _counter(
            "msctl_refusals",
            "Requests that the router answered itself, by reason.",
            ("service", "reason"),
            (((s.service, r.value), n) for s in self.counted for r, n in s.refusals.items()),
        )
        yield _counter(
            "msctl_unanswered",
            "Requests that got no answer at all, by reason.",
            ("service", "reason"),
            (((s.service, cut.value), n) for s in self.counted for cut, n in s.unanswered.items()),
        )
        yield _counter(
            "msctl_retries",
            "Attempts beyond the first of their call.",
            ("service",),
            (((s.service,), s.retries) for s in self.counted if s.service),
        )

    def _routes(self) -> Iterator[Metric]:
        routes = self.gauges.routes
        yield _gauge(
            "msctl_requests_in_flight",
            "Calls under way, those that wait for an instance included.",
            ("service",),
            (((route.service,), route.in_flight) for route in routes),
        )
        yield _gauge(
            "msctl_requests_queued",
            "Calls that wait because of a limit.",
            ("service",),
            (((route.service,), route.queued) for route in routes),
        )
        breakers = [(route.service, "", route.breaker) for route in routes]
        breakers += [
            (each.instance.service, each.instance.id, each.breaker)
            for each in self.gauges.instances
            if each.breaker is not None
        ]
        yield _gauge(
            "msctl_breaker_state",
            "1 for the state that a breaker is in (no instance: that of the whole service).",
            (*_BOTH, "state"),
            (((s, i, st.value), st is now) for s, i, now in breakers for st in BreakerState),
        )

    def _instances(self) -> Iterator[Metric]:
        present = self.gauges.instances
        labels = [(each.instance.service, each.instance.id) for each in present]
        yield _gauge(
            "msctl_connections",
            "Calls that an instance has under way.",
            _BOTH,
            zip(labels, (each.connections for each in present), strict=True),
        )
        yield _gauge(
            "msctl_instance_up",
            "Whether an instance's process runs.",
            _BOTH,
            zip(
                labels,
                (each.instance.status is ServiceStatus.RUNNING for each in present),
                strict=True,
            ),
        )
        yield _gauge(
            "msctl_instance_health",
            "1 for the health that an instance has.",
            (*_BOTH, "health"),
            (
                ((*label, health.value), each.instance.health is health)
                for label, each in zip(labels, present, strict=True)
                for health in Health
            ),
        )
        yield _counter(
            "msctl_instance_restarts",
            "Restarts after crashes.",
            _BOTH,
            zip(labels, (each.instance.restarts for each in present), strict=True),
        )

    def _meters(self) -> Iterator[tuple[str, str, Meter]]:
        """Every meter that has counted something, with its service and instance."""
        for service in self.counted:
            for meter in (service.own, *service.by_instance.values()):
                if meter.codes or meter.attempts:
                    yield service.service, meter.instance, meter


def exposition(collector: FleetCollector, accept: str) -> tuple[bytes, str]:
    """Return the text and its content type: OpenMetrics where `Accept` names it, else plain."""
    registry = CollectorRegistry()
    registry.register(collector)
    # Without its parameters: choose_encoder trips over a version that is no number.
    encode, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in accept else "")
    return encode(registry), content_type


def _attempts(meter: Meter) -> dict[Outcome, int]:
    """Every answer was an attempt, too."""
    answered = sum(meter.codes.values()) + meter.attempts.get(Outcome.ANSWERED, 0)
    return dict(meter.attempts) | {Outcome.ANSWERED: answered}


def _counter(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family
