"""What is said at the end of an operation: the table, the failures, what to do next."""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msctl.cli import streams
from msctl.cli.errors import ExitCode, complain
from msctl.cli.operation import Result
from msctl.cli.render.failures import failure_lines, problem_lines
from msctl.cli.render.status_table import status_lines

_ORDER = ("started", "restarted", "scaled", "updated", "stopped", "unchanged")


def print_table(document: Mapping[str, Any]) -> None:
    """Write the table of a status document to stdout."""
    for line in status_lines(
        document, width=stdout_width(), decorated=streams.is_decorated(sys.stdout)
    ):
        streams.write(line)


def stdout_width() -> int | None:
    """Return the terminal's width in cells; None when stdout is none and nothing is to fit."""
    size = streams.size_of(sys.stdout)
    return size.columns if size else None


def say_failures(result: Result) -> None:
    """Say on stderr why an operation did not succeed."""
    if result.left:
        streams.say("left; the daemon goes on by itself, see: msctl status")
        return
    for line in problem_lines(result.problems, Path.cwd()) if result.problems else ():
        streams.say(line)
    decorated = streams.is_decorated(sys.stderr)
    for line in failure_lines(result.failures, decorated=decorated):
        streams.say(line)
    if result.exit_code in {ExitCode.INTERRUPTED, ExitCode.TERMINATED}:
        streams.say(result.message or "interrupted")
    elif result.message and not result.problems and not _is_repetition(result):
        complain(result.message)


def summary(result: Result) -> str:
    """Return what was done, such as `2 started, 1 unchanged in 1.2 s`; empty for nothing."""
    counts = Counter(change["action"] for change in result.changes)
    known = [action for action in _ORDER if counts[action]]
    parts = [f"{counts[action]} {action}" for action in known]
    return f"{', '.join(parts)} in {result.seconds:.1f} s" if parts else ""


def change_lines(result: Result) -> list[str]:
    """Return a line for each change that has a reason worth telling."""
    return [
        f"{change['service']}: {change['action']}, {change['reason']}"
        for change in result.changes
        if change.get("reason") and change["action"] != "unchanged"
    ]


def _is_repetition(result: Result) -> bool:
    """Whether the message only names the services that the failures have described."""
    return bool(result.failures) and result.message.startswith("failed: ")
