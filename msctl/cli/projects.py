"""`msctl projects`: the fleets of this project directory, those that do not run included."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.options import Action, FileOption, project_of
from msctl.cli.project import Project
from msctl.errors import ConfigError
from msctl.exitcodes import ExitCode
from msctl.render.projects_table import projects_lines
from msctl.runtime.projects import document, find_fleets


def command(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    file: FileOption = None,
) -> Action:
    """Show the fleets of this directory: the first, and those beside it under other names."""
    project = project_of(context, file)
    return lambda: _projects(project, as_json=as_json)


def _projects(project: Project, *, as_json: bool) -> int:
    directory = Path(project.place[0])
    name, services = _configured(project)
    found = document(find_fleets(directory, name, services))
    if as_json:
        streams.write(json.dumps(found, indent=2, ensure_ascii=False))
        return ExitCode.OK
    width, decorated = streams.stdout_width(), streams.is_decorated(sys.stdout)
    for line in projects_lines(found["projects"], width=width, decorated=decorated):
        streams.write(line)
    return ExitCode.OK


def _configured(project: Project) -> tuple[str, int | None]:
    """Return the first fleet's name and how many services there are; at worst a guess and None."""
    try:
        fleet = project.load_first()
    except ConfigError:
        return Path(project.place[0]).name, None
    return fleet.project, len(fleet.services)
