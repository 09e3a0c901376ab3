"""Having a daemon for a fleet: the one that is meant, or one beside all that run."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from msctl.cli import streams
from msctl.cli.project import Project
from msctl.config.projectname import derived_name
from msctl.errors import UsageError
from msctl.runtime.launcher import DaemonSpec, ensure_daemon, start_daemon

_PATIENCE = 30.0  # seconds; only a daemon that was suspended takes that long


def spec_of(project: Project, *, isolated: bool = False, temporary: bool = False) -> DaemonSpec:
    """Return what the daemon of a fleet is told."""
    directory, files = project.place
    root = Path(project.root)
    return DaemonSpec(
        project_dir=Path(directory),
        files=tuple(map(Path, files)),
        state_dir=root,
        data_dir=root / "data",
        project=project.name,
        isolated=isolated,
        temporary=temporary,
    )


def have_daemon(project: Project, *, isolated: bool) -> tuple[Project, bool]:
    """Return the fleet, which has a daemon now, and whether this call started it.

    An isolated one that nobody has named is one more beside those that run. Raises
    UsageError when the named one runs and is not isolated.
    """
    if isolated and not project.is_chosen:
        return _one_more(project), True
    started = ensure_daemon(spec_of(project, isolated=isolated), os.environ)
    if isolated and not started:
        document = project.client.fetch("GET", "/status", timeout=_PATIENCE)
        if not document.get("isolated"):
            raise UsageError(
                f"{document['project']} is running, and not isolated: stop it first "
                f"({project.program} stop), or choose another name with -p"
            )
    return project, started


def _one_more(project: Project) -> Project:
    """Start the daemon of an isolated fleet under the first free name.

    What decides is the lock: of two at the same moment one goes on to the next name.
    """
    for name in _names(project.first_name):
        fleet = project.beside(name)
        if not fleet.is_locked() and start_daemon(spec_of(fleet, isolated=True), os.environ):
            streams.say(f"isolated as {name}; reach it with: {fleet.program} status")
            return fleet
    raise AssertionError("the numbers do not end")


def _names(first: str) -> Iterator[str]:
    return (derived_name(first, f"-{number}") for number in count(2))
