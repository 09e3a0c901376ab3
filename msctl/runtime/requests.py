"""What became of the requests to some services while a command changed them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from msctl.proxy.meters import BOUNDS, Cut, Meter, Meters, ServiceMeter

_CLIENTS_OWN = frozenset({Cut.CLIENT_GONE, Cut.CLIENT_FAULT, Cut.CLIENT_SLOW})
"""Ends that are nobody's failure but the client's."""
_FAILED = 500
_UNBOUNDED = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReport:
    """What a watch has seen."""

    served: int
    """Requests answered, whatever the status."""
    failed: int
    """Answered with 500 or above, cut off, or not answered, for no reason of the client's."""
    longest_stall: float
    """Seconds that no request took, to the end of its answer: the upper bound of the slowest
    one's bucket (`msctl.proxy.meters.BOUNDS`), infinity over the last; 0 when there was none.
    Tunnels and event streams do not count."""

    def document(self) -> dict[str, Any]:
        """Return the JSON object of the control API; None for a stall without a bound."""
        stall = None if self.longest_stall == _UNBOUNDED else self.longest_stall
        return {"served": self.served, "failed": self.failed, "longest_stall": stall}


@dataclass(slots=True)
class RequestWatch:
    """Compares the meters of some services with what they were when it was made."""

    meters: Meters
    services: Iterable[str]
    _before: Mapping[str, "_Counts"] = field(init=False)

    def __post_init__(self) -> None:
        self._before = {name: _Counts.of(self.meters.service(name)) for name in self.services}

    def report(self) -> RequestReport:
        """Return what was counted since then."""
        pairs = [(_Counts.of(self.meters.service(n)), then) for n, then in self._before.items()]
        grown = [
            now > before
            for counts, then in pairs
            for now, before in zip(counts.buckets, then.buckets, strict=True)
        ]
        bounds = (*BOUNDS, _UNBOUNDED) * len(pairs)
        return RequestReport(
            served=sum(now.served - then.served for now, then in pairs),
            failed=sum(now.failed - then.failed for now, then in pairs),
            longest_stall=max(compress(bounds, grown), default=0.0),
        )


@dataclass(frozen=True, slots=True)
class _Counts:
    served: int
    failed: int
    buckets: tuple[int, ...]

    @classmethod
    def of(cls, service: ServiceMeter) -> "_Counts":
        meters = (service.own, *service.by_instance.values())
        return cls(
            served=sum(sum(meter.codes.values()) for meter in meters),
            failed=sum(map(_failures, meters)) + _without_clients(service.unanswered),
            buckets=tuple(map(sum, zip(*(meter.buckets for meter in meters), strict=True))),
        )


def _failures(meter: Meter) -> int:
    errors = sum(count for status, count in meter.codes.items() if status >= _FAILED)
    return errors + _without_clients(meter.cuts)


def _without_clients(cuts: Mapping[Cut, int]) -> int:
    return sum(count for cut, count in cuts.items() if cut not in _CLIENTS_OWN)
