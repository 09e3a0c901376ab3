"""Laying out a table: on a terminal it fits the width, in a pipe it is complete and plain."""

from collections.abc import Sequence
from dataclasses import dataclass

from msctl.render.style import Style, paint

_GAP = "  "
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and the meaning of its colour."""

    text: str
    style: str = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; columns of a higher `drop` go first when the terminal is narrow, 0 never."""

    heading: str
    drop: int = 0
    right: bool = False


def layout(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    width: int | None,
    decorated: bool,
) -> list[str]:
    """Return the lines of the table; `width` in character cells, None for no limit.

    Columns are left out before anything is cut off; the first one, the name, is shortened
    only when nothing else is left to give.
    """
    widths = [
        max(len(column.heading), *(len(row[i].text) for row in rows), 0)
        for i, column in enumerate(columns)
    ]
    kept = _kept(columns, widths, width)
    if width is not None:
        excess = _total(widths, kept) - width
        if excess > 0:
            widths[0] = max(widths[0] - excess, len(columns[0].heading))
    heading = [Cell(column.heading, Style.STRONG) for column in columns]
    return [_line(columns, row, widths, kept, decorated=decorated) for row in (heading, *rows)]


def fits(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None) -> bool:
    """Whether the table needs no column left out and nothing cut off."""
    widths = [
        max(len(column.heading), *(len(row[i].text) for row in rows), 0)
        for i, column in enumerate(columns)
    ]
    return width is None or _total(widths, range(len(columns))) <= width


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    kept = list(range(len(columns)))
    droppable = sorted((i for i in kept if columns[i].drop), key=lambda i: -columns[i].drop)
    for index in droppable:
        if width is None or _total(widths, kept) <= width:
            break
        kept.remove(index)
    return kept


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[i] for i in kept) + len(_GAP) * (len(kept) - 1)


def _line(
    columns: Sequence[Column],
    row: Sequence[Cell],
    widths: Sequence[int],
    kept: Sequence[int],
    *,
    decorated: bool,
) -> str:
    parts = []
    for index in kept:
        text = _cut(row[index].text, widths[index])
        padding = " " * (widths[index] - len(text))
        painted = paint(text, row[index].style, decorated=decorated)
        parts.append(padding + painted if columns[index].right else painted + padding)
    return _GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + _ELLIPSIS
