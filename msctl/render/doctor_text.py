"""What `doctor` found, for people: grouped by topic, one line for each finding."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from msctl.render.style import Style, paint
from msctl.render.text import one_line

_STYLES = {"ok": Style.GOOD, "warn": Style.CAUTION, "fail": Style.BAD}
_WIDTH = max(map(len, _STYLES))

Document = Mapping[str, Any]


def doctor_lines(document: Document, *, decorated: bool) -> list[str]:
    """Return the lines of the report; the last one counts."""
    lines: list[str] = []
    for topic, findings in groupby(document["findings"], key=lambda finding: finding["topic"]):
        lines.append(paint(topic, Style.STRONG, decorated=decorated))
        for finding in findings:
            level = finding["level"]
            mark = paint(f"{level:<{_WIDTH}}", _STYLES[level], decorated=decorated)
            hint = f" ({one_line(finding['hint'])})" if finding["hint"] else ""
            message = one_line(finding["message"])
            lines.append(f"  {mark}  {finding['what']}: {message}{hint}")
    counts = document["counts"]
    warnings = "1 warning" if counts["warn"] == 1 else f"{counts['warn']} warnings"
    return [*lines, f"{counts['fail']} failed, {warnings}, {counts['ok']} ok"]
