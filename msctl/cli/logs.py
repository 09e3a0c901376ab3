"""`msctl logs`: what the services wrote, with or without a daemon.

It reads the files itself: that needs no daemon, and a daemon has better things to do.
"""

import os
import sys
from itertools import islice

from msctl.cli import streams
from msctl.cli.argv import Invocation
from msctl.cli.project import Project
from msctl.errors import MsctlError, UsageError
from msctl.exitcodes import ExitCode
from msctl.render.log_text import LogText
from msctl.runtime.logfiles import find
from msctl.runtime.logfollower import LogFollower
from msctl.runtime.logline import LogLine, service_of
from msctl.runtime.logreader import read_logs

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_POLL = 0.06  # seconds
_FOLLOWED_BEFORE = 10
"""Lines that `-f` begins with (contract.md, Commands)."""
_BATCH = 500


def run(project: Project, options: Invocation) -> int:
    """Show the lines that are asked for; return the exit code."""
    names = options.texts("services")
    since = _since(options.text("since"))
    text = LogText(
        json=options.flag("as_json"),
        prefix=not options.flag("no_prefix"),
        timestamps=options.flag("timestamps"),
        decorated=streams.is_decorated(sys.stdout),
    )
    names = _known_names(project, names)
    text.expect(files.instance for files in find(project.logs, names))
    count = options.count("lines")
    if options.flag("follow"):
        return _follow(project, names, text, count=count, since=since)
    if not _show_all(read_logs(project.logs, names, count=count, since=since), text):
        streams.say("no log lines")
    return ExitCode.OK


def show(lines: "Iterable[LogLine]", text: LogText) -> None:
    """Write the lines and bring them out."""
    if written := "".join(f"{text.text(line)}\n" for line in lines):
        sys.stdout.write(written)
        streams.flush()


def _since(text: str | None) -> str | None:
    if text is None:
        return None
    # Imported here for start-up time: few ask for it.
    from msctl.clock import SystemClock, timestamp  # noqa: PLC0415
    from msctl.render.units import moment  # noqa: PLC0415

    if (seconds := moment(text, SystemClock().wall())) is None:
        raise UsageError(
            f"--since {text}: give a duration such as 5m, or a date such as 2026-01-31"
        )
    return timestamp(seconds)


def _follow(
    project: Project,
    names: tuple[str, ...],
    text: LogText,
    *,
    count: int | None,
    since: str | None,
) -> int:
    if count is None and since is None:
        count = _FOLLOWED_BEFORE
    alive = _liveness(project)
    with LogFollower(project.logs, names) as follower:
        kept = read_logs(project.logs, names, count=count, since=since, limits=follower.limits)
        _show_all(kept, text)
        while True:
            going_on = alive()  # asked before the last look, so that no last line is missed
            show(follower.poll(), text)
            if not going_on:
                return ExitCode.OK
            streams.wait(seconds=_POLL, watch_stdout=True)


def _show_all(lines: "Iterator[LogLine]", text: LogText) -> bool:
    shown = False
    while batch := list(islice(lines, _BATCH)):
        show(batch, text)
        shown = True
    return shown


def _liveness(project: Project) -> "Callable[[], bool]":
    """Return a function that says cheaply whether the daemon of now is still there."""
    pid = project.running_pid()

    def alive() -> bool:
        if pid is None or project.running_pid() != pid:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    return alive


def _known_names(project: Project, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services and instances that are named, patterns written out.

    Raises UnknownService for a name that neither the logs nor the fleet know.
    """
    instances = [files.instance for files in find(project.logs)] if names else []
    known = {*instances, *map(service_of, instances)}
    if known.issuperset(names):
        return names
    from msctl.config.naming import choose_services  # noqa: PLC0415 - for start-up time

    try:
        services = project.service_names()
    except MsctlError:
        services = []
    of_services = sorted({*services, *map(service_of, instances)})
    named = [name for name in names if name in known]
    return (*named, *choose_services((n for n in names if n not in known), of_services))
