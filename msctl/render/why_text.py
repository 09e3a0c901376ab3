"""The chain of causes that `why` shows: each step below the one that it is the cause of."""

from collections.abc import Mapping
from typing import Any

from msctl.render.style import Style, paint
from msctl.render.text import one_line

_ARROW = "← "
_BAR = "| "
_STEP = "  "

Document = Mapping[str, Any]


def why_lines(document: Document, *, decorated: bool) -> list[str]:
    """Return the lines of the chain, and at last what to do about its end."""
    lines: list[str] = []
    for depth, step in enumerate(document["chain"]):
        indent = _STEP * depth
        arrow = paint(_ARROW, Style.QUIET, decorated=decorated) if depth else ""
        where = step["instance"] or step["service"]
        name = paint(where, Style.STRONG, decorated=decorated)
        lines.append(f"{indent}{arrow}{name}: {one_line(step['what'])}")
        bar = paint(_BAR, Style.QUIET, decorated=decorated)
        lines += [f"{indent}{_STEP}{_STEP}{bar}{one_line(said)}" for said in step["evidence"]]
    if hint := next((s["hint"] for s in reversed(document["chain"]) if s["hint"]), ""):
        lines.append(f"what to do: {one_line(hint)}")
    return lines
