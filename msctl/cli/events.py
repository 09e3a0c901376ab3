"""`msctl events`: what happened to the fleet, and what happens to it."""

from contextlib import closing
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.errors import Action, ExitCode
from msctl.cli.options import LongFileOption, ServicesArgument, project_of
from msctl.cli.project import Project
from msctl.cli.render.event_text import EventPrinter


def command(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    file: LongFileOption = None,
) -> Action:
    """Show what happened to the fleet: its last 1000 events."""
    project = project_of(context, file)
    printer = EventPrinter(json=as_json)
    return lambda: _events(project, frozenset(services or ()), printer, follow=follow)


def _events(project: Project, names: frozenset[str], printer: EventPrinter, *, follow: bool) -> int:
    project.check_names(sorted(names))
    path = "/events?follow=1" if follow else "/events"
    shown = False
    with closing(project.client.stream("GET", path)) as stream:
        while not stream.ended:
            if not stream.ready:
                streams.wait([stream], watch_stdout=True)
            events = [e for e in stream.receive() if not names or e["service"] in names]
            printer.show(events)
            shown = shown or bool(events)
    if not shown and not follow:
        streams.say("no events")
    return ExitCode.OK
