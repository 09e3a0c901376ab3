"""The table of `breaker`, from the daemon's document of all breakers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msctl.clock import SystemClock
from msctl.model import BreakerState
from msctl.render.style import Style
from msctl.render.table import Cell, Column, layout
from msctl.render.text import one_line
from msctl.render.units import age

Document = Mapping[str, Any]

_COLUMNS = (
    Column("NAME"),
    Column("STATE"),
    Column("SINCE", drop=3, right=True),
    Column("LEFT", drop=2, right=True),
    Column("IN A ROW", drop=5, right=True),
    Column("FAILED", drop=4, right=True),
    Column("REASON", drop=1),
)
"""LEFT is what is left of an opening or of a forcing; FAILED counts within the window."""

_NOTHING = "-"
_STYLES = {
    BreakerState.CLOSED: Style.GOOD,
    BreakerState.OPEN: Style.BAD,
    BreakerState.HALF_OPEN: Style.CAUTION,
    BreakerState.FORCED_OPEN: Style.BAD,
    BreakerState.FORCED_CLOSED: Style.CAUTION,
}


def breaker_lines(
    document: Document, *, width: int | None, decorated: bool, now: float | None = None
) -> list[str]:
    """Return the lines of the table; `now` in epoch seconds, for how long a state has lasted.

    A row's name is what the commands call it.
    """
    now = SystemClock().wall() if now is None else now
    rows = [_row(breaker, now) for breaker in document["breakers"]]
    return layout(_COLUMNS, rows, width=width, decorated=decorated) if rows else []


def _row(breaker: Document, now: float) -> list[Cell]:
    state, instance = breaker["state"], breaker["instance"]
    since, until = breaker["since"], breaker["until"]
    failures = breaker["failures"]
    off = "" if breaker.get("enabled", True) else "breaker: off"
    reason = "; ".join(filter(None, (one_line(breaker["reason"]), off)))
    return [
        Cell(breaker["service"] if instance is None else f"{breaker['service']}/{instance}"),
        Cell(state, _STYLES.get(state, Style.PLAIN)),
        Cell(_NOTHING if since is None else age(max(0.0, now - _epoch(since)))),
        Cell(_NOTHING if until is None else age(-(-until // 1))),
        Cell(str(breaker["failures_in_a_row"])),
        Cell(f"{failures}/{breaker['calls']}", Style.CAUTION if failures else Style.PLAIN),
        Cell(reason),
    ]


def _epoch(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
