"""How an operation ended, in words: what was done, why it failed, what to do next."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from msctl.exitcodes import ExitCode
from msctl.findings import Failure, Problem
from msctl.render.failures import failure_lines, problem_lines
from msctl.render.style import Style, paint

_ORDER = ("started", "restarted", "scaled", "updated", "stopped", "unchanged")


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended; `seconds` is how long it took."""

    exit_code: int
    message: str = ""
    failures: tuple[Failure, ...] = ()
    problems: tuple[Problem, ...] = ()
    changes: tuple[Mapping[str, str], ...] = ()
    status: Mapping[str, Any] | None = None
    requests: Mapping[str, Any] | None = None
    """What became of the requests meanwhile, where running instances were changed."""
    seconds: float = 0.0

    @classmethod
    def read(cls, message: Mapping[str, Any], seconds: float) -> Self:
        """Read the message with which the control API ends an operation."""
        return cls(
            exit_code=message["exit_code"],
            message=message.get("message", ""),
            failures=tuple(_failure(entry) for entry in message.get("failures", ())),
            problems=tuple(_problem(entry) for entry in message.get("problems", ())),
            changes=tuple(message.get("changes", ())),
            status=message.get("status"),
            requests=message.get("requests"),
            seconds=seconds,
        )


def trouble_lines(
    result: Result, directory: Path, *, decorated: bool, program: str | None = "msctl"
) -> list[str]:
    """Say why an operation did not succeed; files are named as seen from `directory`.

    `program` is what commands for this fleet begin with, None for one that is gone by then.
    """
    lines = problem_lines(result.problems, directory) if result.problems else []
    lines += failure_lines(result.failures, decorated=decorated, program=program)
    if result.exit_code in {ExitCode.INTERRUPTED, ExitCode.TERMINATED}:
        lines.append(result.message or "interrupted")
    elif result.message and not result.problems and not _is_repetition(result):
        lines.append(f"{paint('error:', Style.BAD, decorated=decorated)} {result.message}")
    return lines


def summary(result: Result) -> str:
    """Return what was done, such as `2 started, 1 unchanged in 1.2 s`; empty for nothing."""
    counts = Counter(change["action"] for change in result.changes)
    known = [action for action in _ORDER if counts[action]]
    parts = [f"{counts[action]} {action}" for action in known]
    return f"{', '.join(parts)} in {result.seconds:.1f} s" if parts else ""


def requests_line(result: Result) -> str:
    """Return what became of the requests meanwhile; empty when there were none."""
    report = result.requests
    if report is None or not (report["served"] or report["failed"]):
        return ""
    text = f"meanwhile {_count(report['served'], 'request')} served, {report['failed']} failed"
    stall = report["longest_stall"]
    if stall is None:
        return f"{text}, the slowest beyond measure"
    return f"{text}, each within {stall * 1000:g} ms" if stall else text


def change_lines(result: Result) -> list[str]:
    """Return a line for each change that has a reason worth telling."""
    return [
        f"{change['service']}: {change['action']}, {change['reason']}"
        for change in result.changes
        if change.get("reason") and change["action"] != "unchanged"
    ]


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _is_repetition(result: Result) -> bool:
    """Whether the message only names the services that the failures have described."""
    return bool(result.failures) and result.message.startswith("failed: ")


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(
        service=entry["service"],
        instance=entry.get("instance"),
        reason=entry["reason"],
        logs=tuple(entry.get("logs", ())),
    )


def _problem(entry: Mapping[str, Any]) -> Problem:
    return Problem(Path(entry["file"]), entry["line"], entry["where"], entry["message"])
