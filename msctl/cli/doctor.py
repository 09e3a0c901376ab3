"""`msctl doctor`: what of the machine and the configuration would keep a fleet from running."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.options import Action, FileOption, ProjectOption, project_of
from msctl.cli.project import Project
from msctl.config.location import ConfigLocation
from msctl.errors import MsctlError, UsageError
from msctl.exitcodes import ExitCode
from msctl.render.doctor_text import doctor_lines
from msctl.runtime.statedir import StateDir

_PATIENCE = 2.0  # seconds for the daemon's answer


def command(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action:
    """Examine machine and configuration: exit 1 when something keeps the fleet from running."""
    fleet = project_of(context, file, project)
    return lambda: _doctor(fleet, as_json=as_json)


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
        isolated=_is_isolated(project),
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


def _is_isolated(project: Project) -> bool:
    """Whether a fleet runs here whose ports are not those of the configuration."""
    try:
        document = project.client.fetch("GET", "/status", timeout=_PATIENCE)
    except MsctlError:
        return False
    return bool(document.get("isolated"))


def _state(project: Project) -> StateDir | None:
    """Return where the fleet's state is; None where there is not even a configuration."""
    try:
        return project.state
    except UsageError:
        return None
