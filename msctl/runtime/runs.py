"""The processes that an instance has had, read from its log: msctl's own lines tell them apart."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from msctl.core.why_facts import Line, Run
from msctl.runtime.logfiles import find
from msctl.runtime.logline import LogLine, service_of
from msctl.runtime.logreader import read_logs

LINES_READ = 400
"""Last lines of each instance that are looked at."""
LINES_KEPT = 200
"""Last lines of each process that are kept."""


@dataclass(slots=True)
class _Draft:
    """A run in the making."""

    pid: int | None = None
    started: float | None = None
    lines: list[Line] = field(default_factory=list)
    ended: float | None = None
    ending: str = ""
    given_up: str = ""
    restarts_at: float | None = None

    def finished(self) -> Run:
        return Run(
            pid=self.pid,
            started=self.started,
            lines=tuple(self.lines[-LINES_KEPT:]),
            ended=self.ended,
            ending=self.ending,
            given_up=self.given_up,
            restarts_at=self.restarts_at,
        )


def read_runs(directory: Path, services: Iterable[str]) -> dict[str, dict[str, tuple[Run, ...]]]:
    """Read what the logs keep of these services: by service and instance, the newest run last."""
    found: dict[str, dict[str, tuple[Run, ...]]] = {}
    for name in services:
        # A service may have the name of another one's instance.
        instances = [f.instance for f in find(directory, (name,)) if service_of(f.instance) == name]
        found[name] = {
            instance: runs_of(_last_lines(directory, instance)) for instance in instances
        }
    return found


def _last_lines(directory: Path, instance: str) -> list[LogLine]:
    lines = read_logs(directory, (instance,), count=LINES_READ)
    return [line for line in lines if line.instance == instance]


def runs_of(lines: Iterable[LogLine]) -> tuple[Run, ...]:
    """Divide the lines of one instance into its processes; the first may be there in part."""
    drafts: list[_Draft] = []
    said = ""
    for line in lines:
        if line.stream != "msctl":
            if not drafts or drafts[-1].ending == "stopped":
                drafts.append(_Draft())
            drafts[-1].lines.append(Line(line.stream, line.message))
            continue
        for pattern, take in _NOTES:
            if match := pattern.fullmatch(line.message):
                take(drafts, match, _epoch(line.time), said)
                break
        said = line.message
    return tuple(draft.finished() for draft in drafts)


def _started(drafts: list[_Draft], match: re.Match[str], time: float, _: str) -> None:
    drafts.append(_Draft(pid=int(match["pid"]), started=time))


def _ended(drafts: list[_Draft], match: re.Match[str], time: float, _: str) -> None:
    if not drafts or drafts[-1].ending:
        drafts.append(_Draft())
    drafts[-1].ended, drafts[-1].ending = time, match[0]


def _restarting(drafts: list[_Draft], match: re.Match[str], time: float, said: str) -> None:
    if not drafts:
        return
    last = drafts[-1]
    if not last.ending:  # it was ended for the reason that was noted just before
        last.ended, last.ending = time, said
    last.restarts_at = time + float(match["seconds"] or 0)


def _given_up(drafts: list[_Draft], match: re.Match[str], time: float, _: str) -> None:
    last = drafts[-1] if drafts else None
    if last is None or last.ending == "stopped" or last.restarts_at is not None:
        last = _Draft()  # it could not be started at all
        drafts.append(last)
    last.ended = last.ended or time
    last.given_up = match["reason"]


_Take = Callable[[list[_Draft], re.Match[str], float, str], None]
"""Takes in a note, its time, and the note before it."""

_NOTES: tuple[tuple[re.Pattern[str], _Take], ...] = (
    (re.compile(r"started, pid (?P<pid>\d+)"), _started),
    (re.compile(r"exited with code \d+|killed by .+|not healthy within .+|stopped"), _ended),
    (re.compile(r"restarting (?:at once|in (?P<seconds>[\d.]+) s)"), _restarting),
    (re.compile(r"given up: (?P<reason>.+)", re.DOTALL), _given_up),
)
"""What a supervisor notes of a process, as it words it."""


def _epoch(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0  # of a line that was torn
