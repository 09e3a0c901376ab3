"""Circuit breakers as status documents and tables show them."""

from typing import Any

from msctl.clock import Clock, timestamp
from msctl.core.breaker import BreakerSnapshot
from msctl.model import BreakerState


def brief(snapshot: BreakerSnapshot | None, now: float) -> dict[str, Any]:
    """Return what the status document tells of a breaker; None stands for one never used.

    `until` is there while it is open or forced for some time: the seconds that are left.
    """
    if snapshot is None:
        return {"state": BreakerState.CLOSED, "reason": ""}
    document: dict[str, Any] = {"state": snapshot.state, "reason": snapshot.reason}
    if (left := _left(snapshot, now)) is not None:
        document["until"] = left
    return document


def entry(
    service: str,
    instance: str | None,
    snapshot: BreakerSnapshot | None,
    clock: Clock,
    *,
    enabled: bool,
) -> dict[str, Any]:
    """Return everything about one breaker; `instance` is None for that of the whole service."""
    now = clock.now()
    since = snapshot.since if snapshot else None
    return {
        "service": service,
        "instance": instance,
        "enabled": enabled,
        "state": snapshot.state if snapshot else BreakerState.CLOSED,
        "reason": snapshot.reason if snapshot else "",
        "since": None if since is None else timestamp(clock.wall() - (now - since)),
        "until": _left(snapshot, now) if snapshot else None,
        "failures_in_a_row": snapshot.failures_in_a_row if snapshot else 0,
        "calls": snapshot.calls if snapshot else 0,
        "failures": snapshot.failures if snapshot else 0,
        "generation": snapshot.generation if snapshot else 0,
    }


def _left(snapshot: BreakerSnapshot, now: float) -> float | None:
    return None if snapshot.until is None else round(max(0.0, snapshot.until - now), 3)
