"""`msctl logs`: what the services wrote, with or without a daemon."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.errors import Action, ExitCode
from msctl.cli.options import LongFileOption, ServicesArgument, project_of
from msctl.cli.project import Project
from msctl.cli.render.log_text import LogPrinter
from msctl.cli.render.units import moment
from msctl.clock import SystemClock, timestamp
from msctl.config.naming import check_services
from msctl.errors import MsctlError, UsageError
from msctl.runtime.logfiles import find
from msctl.runtime.logfollower import LogFollower
from msctl.runtime.logline import LogLine, service_of
from msctl.runtime.logreader import read_logs

_POLL = 0.06  # seconds
_FOLLOWED_BEFORE = 10
"""Lines that `-f` begins with (contract.md, Commands)."""
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which lines; `since` is a time as the log files have it."""

    services: tuple[str, ...] = ()
    follow: bool = False
    count: int | None = None
    since: str | None = None


def command(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", metavar="N", min=0, help="Only the last N lines.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Not older than this: 5m, 1h30m or a date."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    no_prefix: Annotated[bool, typer.Option("--no-prefix", help="The bare lines.")] = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Times, in UTC.")] = False,
    file: LongFileOption = None,
) -> Action:
    """Show the logs of services, merged by time."""
    project = project_of(context, file)
    options = LogOptions(
        services=tuple(services or ()), follow=follow, count=lines, since=_since(since)
    )
    printer = LogPrinter(json=as_json, prefix=not no_prefix, timestamps=timestamps)
    return lambda: _logs(project, options, printer)


def _since(text: str | None) -> str | None:
    if text is None:
        return None
    if (seconds := moment(text, SystemClock().wall())) is None:
        raise UsageError(
            f"--since {text}: give a duration such as 5m, or a date such as 2026-01-31"
        )
    return timestamp(seconds)


def _logs(project: Project, options: LogOptions, printer: LogPrinter) -> int:
    directory = project.state.logs
    _check_names(project, options.services)
    printer.expect(files.instance for files in find(directory, options.services))
    if options.follow:
        return _follow(project, options, printer)
    lines = read_logs(directory, options.services, count=options.count, since=options.since)
    if not _show(lines, printer):
        streams.say("no log lines")
    return ExitCode.OK


def _follow(project: Project, options: LogOptions, printer: LogPrinter) -> int:
    count = options.count
    if count is None and options.since is None:
        count = _FOLLOWED_BEFORE
    directory, names = project.state.logs, options.services
    alive = _liveness(project)
    with LogFollower(directory, names) as follower:
        kept = read_logs(directory, names, count=count, since=options.since, limits=follower.limits)
        _show(kept, printer)
        while True:
            going_on = alive()  # asked before the last look, so that no last line is missed
            printer.show(follower.poll())
            if not going_on:
                return ExitCode.OK
            streams.wait(seconds=_POLL, watch_stdout=True)


def _show(lines: Iterator[LogLine], printer: LogPrinter) -> bool:
    shown = False
    while batch := list(islice(lines, _BATCH)):
        printer.show(batch)
        shown = True
    return shown


def _liveness(project: Project) -> Callable[[], bool]:
    """Return a function that says cheaply whether the daemon of now is still there."""
    pid = project.running_pid()

    def alive() -> bool:
        if pid is None or project.running_pid() != pid:
            return False
        with suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
        return True

    return alive


def _check_names(project: Project, names: tuple[str, ...]) -> None:
    """Raise UnknownService for a name that neither the logs nor the fleet know."""
    instances = [files.instance for files in find(project.state.logs)]
    known = {*instances, *map(service_of, instances)}
    missing = [name for name in names if name not in known]
    if not missing:
        return
    try:
        services = project.service_names()
    except MsctlError:
        services = []
    check_services(missing, sorted({*services, *map(service_of, instances)}))
