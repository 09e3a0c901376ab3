"""`msctl doctor`: what of the machine and the configuration would keep a fleet from running."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.options import Action, FileOption, project_of
from msctl.cli.project import Project
from msctl.config.location import ConfigLocation
from msctl.errors import UsageError
from msctl.exitcodes import ExitCode
from msctl.render.doctor_text import doctor_lines
from msctl.runtime.statedir import StateDir


def command(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    file: FileOption = None,
) -> Action:
    """Examine machine and configuration: exit 1 when something keeps the fleet from running."""
    project = project_of(context, file)
    return lambda: _doctor(project, as_json=as_json)


def _doctor(project: Project, *, as_json: bool) -> int:
    # Imported here for start-up time: nothing else needs all that this does.
    from msctl.runtime.doctor import report  # noqa: PLC0415
    from msctl.runtime.doctor_examine import Patient, examine  # noqa: PLC0415

    location, missing = _location(project)
    patient = Patient(
        location=location,
        missing=missing,
        state=_state(project),
        environ=os.environ,
        here=Path.cwd(),
    )
    document = report(examine(patient))
    if as_json:
        streams.write(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in doctor_lines(document, decorated=streams.is_decorated(sys.stdout)):
            streams.write(line)
    return ExitCode.OK if document["healthy"] else ExitCode.FAILED


def _location(project: Project) -> tuple[ConfigLocation | None, str]:
    try:
        return project.location, ""
    except UsageError as error:
        return None, str(error)


def _state(project: Project) -> StateDir | None:
    """Return where the fleet's state is; None where there is not even a configuration."""
    try:
        return project.state
    except UsageError:
        return None
