"""The table of `msctl projects`, from its document."""

from collections.abc import Mapping, Sequence
from typing import Any

from msctl.render.style import Style
from msctl.render.table import Cell, Column, layout
from msctl.render.units import age

_COLUMNS = (
    Column("NAME"),
    Column("STATUS"),
    Column("GATEWAY", drop=1),
    Column("SERVICES", drop=2, right=True),
    Column("UPTIME", drop=3, right=True),
)
_NOTHING = "-"


def projects_lines(
    projects: Sequence[Mapping[str, Any]], *, width: int | None, decorated: bool
) -> list[str]:
    """Return the lines of the table."""
    rows = [
        [
            Cell(project["name"]),
            _status(project),
            Cell(project["gateway"] or _NOTHING),
            Cell(_services(project)),
            Cell(_NOTHING if project["uptime"] is None else age(project["uptime"])),
        ]
        for project in projects
    ]
    return layout(_COLUMNS, rows, width=width, decorated=decorated)


def _status(project: Mapping[str, Any]) -> Cell:
    if not project["running"]:
        return Cell("stopped", Style.QUIET)
    if project["isolated"] is None:
        return Cell("no answer", Style.BAD)
    return Cell("running (isolated)" if project["isolated"] else "running", Style.GOOD)


def _services(project: Mapping[str, Any]) -> str:
    total = project["total_services"]
    return f"{project['running_services']}/{_NOTHING if total is None else total}"
