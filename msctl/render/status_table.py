"""The table of `status` and `up`, from the status document (contract.md, Output)."""

from collections.abc import Mapping, Sequence
from typing import Any

from msctl.model import BreakerState, Health, ServiceStatus
from msctl.render.style import Style
from msctl.render.table import Cell, Column, fits, layout
from msctl.render.text import one_line
from msctl.render.units import age

Document = Mapping[str, Any]

_COLUMNS = (
    Column("NAME"),
    Column("STATUS"),
    Column("URL", drop=1),
    Column("INSTANCES", drop=2, right=True),
    Column("RESTARTS", drop=4, right=True),
    Column("UPTIME", drop=3, right=True),
)
_NOTE = Column("NOTE")
_NOTHING = "-"
_STATUS_STYLES = {
    ServiceStatus.RUNNING: Style.GOOD,
    ServiceStatus.STARTING: Style.CAUTION,
    ServiceStatus.DRAINING: Style.CAUTION,
    ServiceStatus.STOPPING: Style.CAUTION,
    ServiceStatus.BACKOFF: Style.BAD,
    ServiceStatus.ERROR: Style.BAD,
    ServiceStatus.COMPLETED: Style.QUIET,
    ServiceStatus.STOPPED: Style.QUIET,
}
_HEALTH_STYLES = {
    Health.HEALTHY: Style.GOOD,
    Health.DEGRADED: Style.CAUTION,
    Health.UNKNOWN: Style.CAUTION,
    Health.UNHEALTHY: Style.BAD,
}
_EXPLAINED = frozenset({Health.HEALTHY.value, Health.UNKNOWN.value})


def status_lines(document: Document, *, width: int | None, decorated: bool) -> list[str]:
    """Return the lines of the table and what stands below it."""
    table, below = table_and_notes(document, width=width, decorated=decorated)
    return [*table, "", *below] if below else table


def table_and_notes(
    document: Document, *, width: int | None, decorated: bool
) -> tuple[list[str], list[str]]:
    """Return the table's lines, and the notes that did not fit into it.

    `width` None is for a pipe: nothing is left out. Notes say why a service is not as it
    should be. Where they do not fit beside the rest they follow below, so that no reason is
    ever cut off.
    """
    services: Sequence[Document] = document["services"]
    if not services:
        return [], []
    rows = [_row(service) for service in services]
    notes = [note(service) for service in services]
    if not any(notes):
        return layout(_COLUMNS, rows, width=width, decorated=decorated), []
    columns = (*_COLUMNS, _NOTE)
    annotated = [[*row, Cell(text)] for row, text in zip(rows, notes, strict=True)]
    if fits(columns, annotated, width):
        return layout(columns, annotated, width=width, decorated=decorated), []
    lines = layout(_COLUMNS, rows, width=width, decorated=decorated)
    below = [f"{s['name']}: {text}" for s, text in zip(services, notes, strict=True) if text]
    return lines, below


def note(service: Document) -> str:
    """Return why a service is not as it should be, in a few words; empty when all is well."""
    parts = [
        _instance_note(service, instance)
        for instance in service.get("instances", ())
        if instance.get("reason") and not _is_well(instance)
    ]
    if not parts:
        parts.append(service.get("reason") or "")
    breaker = service.get("breaker", {}).get("state", BreakerState.CLOSED)
    if breaker != BreakerState.CLOSED:
        parts.append(f"breaker {breaker.replace('_', ' ')}")
    else:
        parts.append(_instance_breakers(service))
    return one_line("; ".join(dict.fromkeys(part for part in parts if part)))


def _instance_note(service: Document, instance: Document) -> str:
    several = len(service["instances"]) > 1
    reason: str = instance["reason"]
    return f"{instance['id']}: {reason}" if several else reason


def _is_well(instance: Document) -> bool:
    return bool(
        instance["status"] == ServiceStatus.COMPLETED
        or (instance["status"] == ServiceStatus.RUNNING and instance["health"] in _EXPLAINED)
    )


def _instance_breakers(service: Document) -> str:
    states = [i.get("breaker", {}).get("state") for i in service.get("instances", ())]
    open_ones = sum(state in {BreakerState.OPEN, BreakerState.FORCED_OPEN} for state in states)
    return f"breaker open on {open_ones} of {len(states)}" if open_ones else ""


def _row(service: Document) -> list[Cell]:
    uptimes = [i["uptime"] for i in service.get("instances", ()) if i.get("uptime") is not None]
    running = service["status"] == ServiceStatus.RUNNING
    restarts = service["restarts"]
    return [
        Cell(service["name"]),
        _status(service),
        Cell(service.get("url") or _NOTHING),
        Cell(f"{service['ready']}/{service['replicas']}"),
        Cell(str(restarts), Style.CAUTION if restarts else Style.PLAIN),
        Cell(age(max(uptimes)) if running and uptimes else _NOTHING),
    ]


def _status(service: Document) -> Cell:
    status = service["status"]
    if status != ServiceStatus.RUNNING:
        return Cell(status, _STATUS_STYLES.get(status, Style.PLAIN))
    health = service["health"]
    return Cell(f"{status} ({health})", _HEALTH_STYLES.get(health, Style.PLAIN))
