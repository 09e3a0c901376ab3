"""`msctl run`: a command in the place of an instance, with its environment and directory."""

import os
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

from msctl.cli import program, streams
from msctl.cli.argv import Invocation
from msctl.cli.messages import complain
from msctl.cli.project import Project
from msctl.errors import MsctlError, NoDaemon

_PATIENCE = 30.0  # seconds; only a daemon that was suspended takes that long
_OWN = ("HOST", "PORT")
"""Variables that nobody inherits: they are an instance's own."""


def run(project: Project, invocation: Invocation) -> int:
    """Become the command; the exit code is of one that cannot be run."""
    service = invocation.text("service") or ""
    query = urlencode({"service": service})
    try:
        found = project.client.fetch("GET", f"/surroundings?{query}", timeout=_PATIENCE)
    except NoDaemon:
        found = _by_configuration(project, service)
    inherited = {key: value for key, value in os.environ.items() if key not in _OWN}
    try:
        _become(invocation.texts("command"), inherited | found["environment"], found["working_dir"])
    except program.NoProgram as problem:
        complain(str(problem))
        return problem.code


def _by_configuration(project: Project, service: str) -> dict[str, Any]:
    """Return what an instance would find if the fleet ran."""
    # Imported here for start-up time: a daemon knows it all.
    from msctl.config.fleet import GATEWAY_PORT  # noqa: PLC0415
    from msctl.runtime.environment import FleetFacts  # noqa: PLC0415
    from msctl.runtime.surroundings import one_service, surroundings  # noqa: PLC0415

    fleet = project.load()
    config = one_service(service, fleet.services)
    gateway = f"http://{fleet.gateway.host}:{fleet.gateway.port or GATEWAY_PORT}"
    facts = FleetFacts(fleet.project, fleet.project_dir, gateway, fleet.services.get)
    state = project.state
    state.create()
    found = surroundings(config, facts, state.data_root)
    return {"environment": found.environment, "working_dir": str(found.working_dir)}


def _become(command: tuple[str, ...], environment: dict[str, str], directory: str) -> NoReturn:
    """Go on as the command; raises NoProgram, or MsctlError when its directory is not there."""
    if not Path(directory).is_dir():
        raise MsctlError(f"working_dir: {directory} is not a directory")
    path = program.find(command[0], environment, directory)
    streams.flush()
    os.chdir(directory)
    program.become(path, command, environment)
