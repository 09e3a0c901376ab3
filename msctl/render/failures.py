"""Failures in words: which service, why, its last lines, and what to do next."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from msctl.findings import Failure, Problem
from msctl.render.style import Style, paint

_INDENT = "    "


def failure_lines(
    failures: Iterable[Failure], *, decorated: bool, program: str | None = "msctl"
) -> list[str]:
    """Return the lines that describe each failure, the evidence below it.

    `program` is what commands for this fleet begin with; None where there is no log to look at.
    """
    lines: list[str] = []
    for failure in failures:
        error = paint("error:", Style.BAD, decorated=decorated)
        reason = failure.reason.removeprefix(f"{failure.service}: ")
        lines.append(f"{error} {failure.service}: {reason}")
        source = failure.instance or failure.service
        bar = paint(f"{source} |", Style.QUIET, decorated=decorated)
        lines += [f"{_INDENT}{bar} {line}".rstrip() for line in failure.logs]
        if failure.logs and program:
            lines.append(f"{_INDENT}all of its log: {program} logs {failure.service}")
    return lines


def problem_lines(problems: Sequence[Problem], directory: Path) -> list[str]:
    """Return one line for each problem, files named as seen from `directory`, and a count."""
    lines = [
        str(replace(problem, file=_seen_from(directory, problem.file))) for problem in problems
    ]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return [*lines, f"{count} in the configuration; nothing was started"]


def _seen_from(directory: Path, file: Path) -> Path:
    return file.relative_to(directory) if file.is_relative_to(directory) else file
