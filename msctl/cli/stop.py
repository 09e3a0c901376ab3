"""`msctl stop`: end services, or everything and the daemon."""

from typing import Annotated, Any

import typer

from msctl.cli import streams
from msctl.cli.errors import Action, ExitCode
from msctl.cli.operation import Follower, Result
from msctl.cli.options import FileOption, ServicesArgument, TimeoutOption, project_of
from msctl.cli.outcome import say_failures, summary
from msctl.cli.progress import Goal
from msctl.cli.project import Project
from msctl.client import BrokenResponse
from msctl.errors import MsctlError, NoDaemon

_GONE_TIMEOUT = 30.0  # seconds; the daemon has nothing left to stop by then
_BEGINNING_POLL = 0.05
_BEGINNING_TIMEOUT = 10.0


def command(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    timeout: TimeoutOption = None,
    kill: Annotated[bool, typer.Option("--kill", help="Kill at once, without draining.")] = False,
    file: FileOption = None,
) -> Action:
    """Stop services; without names everything, and the daemon."""
    project = project_of(context, file)
    body = {"services": list(services or ()), "timeout": timeout, "kill": kill}
    return lambda: _stop(project, body)


def _stop(project: Project, body: dict[str, Any]) -> int:
    try:
        result = _ask(project, body)
    except NoDaemon:
        project.check_names(body["services"])
        streams.say("nothing is running here")
        return ExitCode.OK
    except BrokenResponse:
        # Another stop has ended the daemon while it told us how far it was.
        if body["services"] or not project.wait_until_gone(_GONE_TIMEOUT):
            raise
        return ExitCode.OK
    if result.exit_code != ExitCode.OK:
        say_failures(result)
        return result.exit_code
    if not body["services"] and not project.wait_until_gone(_GONE_TIMEOUT):
        raise MsctlError(
            f"all services are stopped, but the daemon (pid {project.running_pid()}) is still there"
        )
    streams.say(summary(result) or "nothing was running")
    return ExitCode.OK


def _ask(project: Project, body: dict[str, Any]) -> Result:
    """Send the request; a daemon that is only beginning, or ending, is waited for."""
    remaining = _BEGINNING_TIMEOUT
    while True:
        try:
            return Follower(project.client, Goal.STOPPED).follow("/stop", body)
        except NoDaemon:
            if remaining <= 0 or not project.state.is_locked():
                raise
        streams.wait(seconds=_BEGINNING_POLL)
        remaining -= _BEGINNING_POLL
