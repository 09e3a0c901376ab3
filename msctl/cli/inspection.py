"""`msctl validate` and `version`: looking without touching."""

from importlib import metadata
from pathlib import Path

import typer

from msctl.cli import streams
from msctl.cli.options import Action, FileOption, project_of
from msctl.cli.project import Project
from msctl.exitcodes import ExitCode


def validate(context: typer.Context, *, file: FileOption = None) -> Action:
    """Check the configuration and name all that is wrong with it."""
    project = project_of(context, file)
    return lambda: _validate(project)


def version() -> Action:
    """Print the version."""
    return _version


def version_text() -> str:
    """Return the version of what is installed."""
    try:
        return f"msctl {metadata.version('msctl')}"
    except metadata.PackageNotFoundError:
        return "msctl (not installed)"


def _validate(project: Project) -> int:
    fleet = project.load()
    count = len(fleet.services)
    services = "1 service" if count == 1 else f"{count} services"
    places = ", ".join(str(_seen(file)) for file in project.location.files)
    streams.say(f"{places}: {services}, no problems")
    return ExitCode.OK


def _seen(file: Path) -> Path:
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _version() -> int:
    streams.write(version_text())
    return ExitCode.OK
