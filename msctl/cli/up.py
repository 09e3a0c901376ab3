"""`msctl up`: start services with what they depend on, and wait until all are healthy."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from msctl.cli import streams
from msctl.cli.errors import Action, ExitCode
from msctl.cli.foreground import run_in_foreground
from msctl.cli.operation import Follower, Result
from msctl.cli.options import FileOption, ServicesArgument, TimeoutOption, project_of, scales
from msctl.cli.outcome import change_lines, print_table, say_failures, summary
from msctl.cli.progress import Goal
from msctl.cli.project import Project
from msctl.errors import UsageError

_ROLLBACK_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What to start, and how; `timeout` in seconds."""

    services: tuple[str, ...] = ()
    no_deps: bool = False
    wait: bool = True
    timeout: float | None = None
    scale: Mapping[str, int] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    keep: bool = False

    def request(self, project: Project) -> dict[str, Any]:
        """Return the body of the control API's `/up`."""
        return {
            "services": list(self.services),
            "no_deps": self.no_deps,
            "wait": self.wait,
            "timeout": self.timeout,
            "scale": dict(self.scale),
            "profiles": list(self.profiles),
            "keep": self.keep,
            "environment": dict(os.environ),
            "files": [str(file) for file in project.location.files],
        }


def command(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when all is healthy (the default).")
    ] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, show the logs; Ctrl-C stops everything.")
    ] = False,
    no_deps: Annotated[
        bool, typer.Option("--no-deps", help="Do not start what they depend on.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return without waiting until they are healthy.")
    ] = False,
    timeout: TimeoutOption = None,
    scale: Annotated[
        list[str] | None, typer.Option("--scale", metavar="NAME=N", help="Number of instances.")
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", metavar="P", help="Services of this profile too."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be started, in order.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="On failure leave everything as it is.")
    ] = False,
    file: FileOption = None,
) -> Action:
    """Start services with what they need; return when all are healthy."""
    if detach and foreground:
        raise UsageError("--detach and --foreground exclude each other")
    project = project_of(context, file)
    options = UpOptions(
        services=tuple(services or ()),
        no_deps=no_deps,
        wait=not no_wait,
        timeout=timeout,
        scale=scales(scale),
        profiles=tuple(profile or ()),
        keep=keep,
    )
    if dry_run:
        return lambda: _dry_run(project, options)
    if foreground:
        return lambda: _foreground(project, options)
    return lambda: _up(project, options)


def _up(project: Project, options: UpOptions) -> int:
    started = _ensure_daemon(project)
    result = Follower(project.client, Goal.HEALTHY).follow("/up", options.request(project))
    if result.exit_code != ExitCode.OK:
        return _failed(project, options, result, started=started)
    for line in change_lines(result):
        streams.say(line)
    if result.status:
        print_table(result.status)
        streams.flush()
        _say_next(result)
    return result.exit_code


def _failed(project: Project, options: UpOptions, result: Result, *, started: bool) -> int:
    say_failures(result)
    if result.left:
        return result.exit_code
    if options.keep:
        if result.status:
            print_table(result.status)
        streams.say("left as it is (--keep); stop it with: msctl stop")
    elif any(change["action"] == "started" for change in result.changes):
        streams.say("what this up had started was stopped again; --keep leaves it running")
    if started and not options.keep:
        project.wait_until_gone(_ROLLBACK_TIMEOUT)
    return result.exit_code


def _say_next(result: Result) -> None:
    if text := summary(result):
        streams.say(text)
    if gateway := (result.status or {}).get("gateway"):
        streams.say(f"gateway: {gateway}")
    streams.say("logs: msctl logs -f    stop: msctl stop")


def _ensure_daemon(project: Project) -> bool:
    # Imported here for start-up time: no other command starts a daemon.
    from msctl.runtime.launcher import DaemonSpec, ensure_daemon  # noqa: PLC0415

    location, state = project.location, project.state
    spec = DaemonSpec(
        project_dir=location.project_dir,
        files=location.files,
        state_dir=state.root,
        data_dir=state.data_root,
    )
    return ensure_daemon(spec, os.environ)


def _foreground(project: Project, options: UpOptions) -> int:
    _ensure_daemon(project)
    return run_in_foreground(project, options.request(project))


def _dry_run(project: Project, options: UpOptions) -> int:
    # Imported here for start-up time: reading the configuration costs more than the rest.
    from msctl.cli.dryrun import print_plan  # noqa: PLC0415

    print_plan(
        project.load(),
        names=options.services,
        profiles=frozenset(options.profiles),
        scale=options.scale,
        no_deps=options.no_deps,
    )
    return ExitCode.OK
