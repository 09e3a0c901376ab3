"""`msctl why`: one chain of causes, from how a service is to why."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from msctl.cli import streams
from msctl.cli.completion import complete_breakers
from msctl.cli.messages import complain
from msctl.cli.options import Action, FileOption, ProjectOption, project_of
from msctl.cli.project import Project
from msctl.clock import SystemClock
from msctl.errors import NoDaemon
from msctl.exitcodes import ExitCode
from msctl.render.why_text import why_lines

_PATIENCE = 30.0  # seconds; only a daemon that was suspended takes that long


def command(
    context: typer.Context,
    service: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE[/INSTANCE]",
            show_default=False,
            autocompletion=complete_breakers,
            help="A service, or one of its instances.",
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action:
    """Explain why a service is as it is: the causes, each with its evidence."""
    fleet = project_of(context, file, project)
    return lambda: _why(fleet, service, as_json=as_json)


def _why(project: Project, service: str, *, as_json: bool) -> int:
    query = urlencode({"service": service})
    try:
        document = project.client.fetch("GET", f"/why?{query}", timeout=_PATIENCE)
    except NoDaemon:
        _show(_without_daemon(project, service), as_json=as_json)
        complain(str(NoDaemon(project.name)))
        return ExitCode.NO_DAEMON
    _show(document, as_json=as_json)
    return ExitCode.OK


def _without_daemon(project: Project, service: str) -> Mapping[str, Any]:
    """Return what the configuration and the logs of the last run tell."""
    # Imported here for start-up time: the daemon explains in all other cases.
    from msctl.runtime.why import document_without_daemon  # noqa: PLC0415

    now = SystemClock().wall()
    return document_without_daemon(project.load(), project.state, service, now)


def _show(document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        streams.write(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for line in why_lines(document, decorated=streams.is_decorated(sys.stdout)):
        streams.write(line)
