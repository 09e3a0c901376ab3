"""What `status --watch` shows on a terminal: the table, cut to what fits."""

from collections.abc import Mapping
from typing import Any

from msctl.render.status_table import status_lines, table_and_notes
from msctl.render.units import age

Document = Mapping[str, Any]

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def screen(document: Document, *, columns: int, lines: int) -> str:
    """Return what to write to draw the screen over the last one."""
    shown = _fitting(document, columns=columns, height=lines)
    drawn = "".join(f"{line}{_CLEAR_LINE}\n" for line in shown[:-1]) + shown[-1]
    return _HOME + drawn + _CLEAR_LINE + _CLEAR_BELOW


def steady_table(document: Document, *, width: int | None) -> str:
    """Return the table without what changes by itself, so that each change is seen once."""
    return "\n".join(status_lines(_without_uptime(document), width=width, decorated=False))


def _fitting(document: Document, *, columns: int, height: int) -> list[str]:
    title = [
        document["project"],
        f"{document['running_services']} of {document['total_services']} running",
        f"up {age(document['uptime'])}",
        document.get("gateway") or "",
    ]
    head = ["  ".join(part for part in title if part)[:columns], ""]
    table, notes = table_and_notes(document, width=columns, decorated=True)
    notes = [f"{note[: columns - 1]}" for note in notes[: height // 3]]
    below = ["", *notes] if notes else []
    room = height - len(head) - len(below)
    if len(table) > room:
        hidden = len(table) - room + 1
        table = [*table[: room - 1], f"… {hidden} more, see: msctl status"]
    return [*head, *table, *below]


def _without_uptime(document: Document) -> Document:
    services = [
        {**s, "instances": [{**i, "uptime": None} for i in s.get("instances", ())]}
        for s in document["services"]
    ]
    return {**document, "services": services}
