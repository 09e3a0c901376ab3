"""`msctl start`, `restart` and `wait`: what is asked of a fleet that runs already."""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from msctl.cli import streams
from msctl.cli.errors import Action, ExitCode
from msctl.cli.operation import Follower
from msctl.cli.options import FileOption, ServicesArgument, TimeoutOption, project_of
from msctl.cli.outcome import print_table, say_failures, summary
from msctl.cli.progress import Goal
from msctl.cli.project import Project
from msctl.errors import NoDaemon


class WaitFor(StrEnum):
    """What `wait` waits for."""

    HEALTHY = "healthy"
    STOPPED = "stopped"
    COMPLETED = "completed"


_GOALS = {
    WaitFor.HEALTHY: Goal.HEALTHY,
    WaitFor.STOPPED: Goal.STOPPED,
    WaitFor.COMPLETED: Goal.COMPLETED,
}


def start(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    timeout: TimeoutOption = None,
    file: FileOption = None,
) -> Action:
    """Start services that were stopped or have failed."""
    project = project_of(context, file)
    body = _request(services, timeout)
    return lambda: _change(project, "/start", body)


def restart(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    hard: Annotated[bool, typer.Option("--hard", help="Stop first, then start.")] = False,
    timeout: TimeoutOption = None,
    file: FileOption = None,
) -> Action:
    """Restart services without failing a request.

    Configuration and environment are read again.
    """
    project = project_of(context, file)
    body = {**_request(services, timeout), "hard": hard}
    return lambda: _change(project, "/restart", body)


def wait(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    goal: Annotated[WaitFor, typer.Option("--for", help="What to wait for.")] = WaitFor.HEALTHY,
    timeout: TimeoutOption = None,
    file: FileOption = None,
) -> Action:
    """Wait until services are healthy, stopped or completed."""
    project = project_of(context, file)
    body = {"services": list(services or ()), "for": goal.value, "timeout": timeout}
    return lambda: _wait(project, goal, body)


def _request(services: list[str] | None, timeout: float | None) -> dict[str, Any]:
    return {
        "services": list(services or ()),
        "environment": dict(os.environ),
        "timeout": timeout,
    }


def _change(project: Project, path: str, body: Mapping[str, Any]) -> int:
    result = Follower(project.client, Goal.HEALTHY).follow(path, body)
    if result.exit_code != ExitCode.OK:
        say_failures(result)
        return result.exit_code
    if result.status:
        print_table(result.status)
        streams.flush()
    if text := summary(result):
        streams.say(text)
    return ExitCode.OK


def _wait(project: Project, goal: WaitFor, body: Mapping[str, Any]) -> int:
    try:
        result = Follower(project.client, _GOALS[goal]).follow("/wait", body)
    except NoDaemon:
        if goal is not WaitFor.STOPPED:
            raise
        project.check_names(body["services"])
        return ExitCode.OK  # what does not run has stopped
    if result.exit_code != ExitCode.OK:
        say_failures(result)
    return result.exit_code
