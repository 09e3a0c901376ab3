"""`msctl with`: a command beside a fleet of its own, from the start of one to the end of both.

The fleet is isolated and its state, data included, is removed with it, so that one run knows
nothing of the other. It hangs on a connection to this process: however that ends, it ends too.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msctl.cli import fleet_name, program, streams
from msctl.cli.argv import Invocation
from msctl.cli.beginning import spec_of
from msctl.cli.console import environment, fields_of
from msctl.cli.conversation import Conversation, Left
from msctl.cli.messages import complain
from msctl.cli.project import Project
from msctl.client.response import BrokenResponse
from msctl.config.addresses import address_variables
from msctl.config.place import VARIABLE
from msctl.config.projectname import LONGEST, derived_name
from msctl.errors import MsctlError, NoDaemon, UsageError
from msctl.exitcodes import ExitCode
from msctl.runtime.launcher import start_daemon
from msctl.runtime.statedir import StateDir

_PATIENCE = 30.0  # seconds; only a daemon that was suspended takes that long
_END_TIMEOUT = 60.0
"""Seconds for a fleet that is told to end: more than it takes to drain and to kill."""
_SUFFIX = "-with-"
_RANDOM = 8
"""Letters that `tempfile` appends."""


def run(project: Project, invocation: Invocation) -> int:
    """Start the services, run the command, stop the services; return the command's exit code."""
    if invocation.project is not None:
        raise UsageError("with starts a fleet of its own, whose name is chosen; leave -p out")
    command = invocation.texts("command")
    try:
        path = program.find(command[0], os.environ, os.getcwd())
        with _private(project) as fleet:
            return _beside(fleet, invocation, path)
    except program.NoProgram as problem:
        complain(str(problem))
        return problem.code


def _beside(fleet: Project, invocation: Invocation, path: str) -> int:
    if (code := _start(fleet, invocation)) != ExitCode.OK:
        return code
    document = fleet.client.fetch("GET", "/status", timeout=_PATIENCE)
    variables = {**os.environ, **_variables(fleet, invocation, document)}
    try:
        return program.see_through(path, invocation.texts("command"), variables)
    finally:
        _stop(fleet)


@contextmanager
def _private(project: Project) -> Iterator[Project]:
    """Have a daemon that ends with this block, or with this process; nothing of it is left."""
    directory, _ = project.place
    name = derived_name(project.first_name[: LONGEST - _RANDOM - len(_SUFFIX)], _SUFFIX)
    StateDir.for_project(Path(directory)).create()
    projects = StateDir.for_project(Path(directory), name).root.parent
    projects.mkdir(exist_ok=True)
    state = StateDir(Path(tempfile.mkdtemp(prefix=name, dir=projects)))
    try:
        fleet = project.beside(state.root.name)
        if not start_daemon(spec_of(fleet, isolated=True, temporary=True), os.environ):
            raise MsctlError(f"somebody else uses {state.root}")
        attachment = fleet.client.open("GET", "/attach")
        try:
            attachment.read_head()
            yield fleet
        finally:
            attachment.close()
            fleet.wait_until_gone(_END_TIMEOUT)
    finally:
        state.remove()  # the daemon's guardian does so, too, if there was one


def _start(fleet: Project, invocation: Invocation) -> int:
    conversation = Conversation(fleet.socket)
    files = [("files", file) for file in fleet.place[1]]
    conversation.ask("prepare", [*fields_of(invocation, fleet), *files, *environment()])
    try:
        return conversation.see_through()
    except Left as left:
        return left.code


def _stop(fleet: Project) -> None:
    """Stop everything, with progress; whatever goes wrong here, the block's end sees to it."""
    try:
        conversation = Conversation(fleet.socket)
        conversation.ask("stop", [])
        conversation.see_through()
    except (NoDaemon, BrokenResponse):
        streams.say("the fleet had been stopped already")
    except Left:
        return


def _variables(
    fleet: Project, invocation: Invocation, document: Mapping[str, object]
) -> dict[str, str]:
    """Return what the command is told of the fleet."""
    services = document["services"]
    assert isinstance(services, list)
    found = {
        fleet_name.NAME: str(fleet.name),
        fleet_name.DIRECTORY: fleet.place[0],
        "MSCTL_GATEWAY_URL": str(document["gateway"]),
    }
    for service in services:
        if service["url"] is not None:
            found |= address_variables(service["name"], service["url"])
    if invocation.files:
        found[VARIABLE] = os.pathsep.join(fleet.place[1])
    return found
