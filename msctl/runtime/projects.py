"""The fleets of one project directory: the first, and those beside it under other names."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msctl.client import ControlClient
from msctl.errors import MsctlError
from msctl.runtime.statedir import StateDir
from msctl.runtime.statepaths import PROJECTS

_PATIENCE = 2.0  # seconds for a daemon's answer
_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetListing:
    """What can be told of a fleet, running or not; what is not known is None."""

    name: str
    directory: Path
    """Its state."""
    running: bool = False
    isolated: bool | None = None
    """None also where the daemon does not answer."""
    gateway: str | None = None
    started_at: str | None = None
    uptime: float | None = None
    """Seconds."""
    running_services: int = 0
    total_services: int | None = None


def find_fleets(project_dir: Path, first_name: str, services: int | None) -> list[FleetListing]:
    """Look at every fleet of the directory, the first one first.

    `first_name` and `services`, how many there are, are what the configuration says. What a
    daemon has left that was killed together with its guardian is removed.
    """
    first = StateDir.for_project(project_dir)
    return [
        _look_at(state, name, services)
        for state, name in ((first, first_name), *_beside(first))
        if state is first or state.root.is_dir()
    ]


def document(fleets: list[FleetListing]) -> dict[str, Any]:
    """Return them as `msctl projects --json` writes them."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "projects": [
            {
                "name": each.name,
                "running": each.running,
                "isolated": each.isolated,
                "gateway": each.gateway,
                "running_services": each.running_services,
                "total_services": each.total_services,
                "started_at": each.started_at,
                "uptime": each.uptime,
                "directory": os.fspath(each.directory),
            }
            for each in fleets
        ],
    }


def _beside(first: StateDir) -> Iterator[tuple[StateDir, str]]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for root in sorted((first.root / PROJECTS).iterdir()):
            yield StateDir(root), root.name


def _look_at(state: StateDir, name: str, services: int | None) -> FleetListing:
    _remove_what_was_left(state)
    run = _run_file(state)
    if run is None:
        return FleetListing(name=name, directory=state.root, total_services=services)
    status = _ask(state) or {}
    return FleetListing(
        name=str(run.get("project", name)),
        directory=state.root,
        running=True,
        isolated=status.get("isolated"),
        gateway=run.get("gateway"),
        started_at=run.get("started_at"),
        uptime=status.get("uptime"),
        running_services=status.get("running_services", 0),
        total_services=status.get("total_services", services),
    )


def _remove_what_was_left(state: StateDir) -> None:
    """Remove run file and socket of a fleet that does not run; the lock tells."""
    with suppress(OSError):
        if state.run_file.exists() and (lock := state.try_lock()) is not None:
            state.remove_leftovers()
            os.close(lock)


def _run_file(state: StateDir) -> dict[str, Any] | None:
    try:
        run = json.loads(state.run_file.read_bytes())
    except (OSError, ValueError):
        return None
    return run if isinstance(run, dict) else None


def _ask(state: StateDir) -> dict[str, Any] | None:
    try:
        return ControlClient(state.socket).fetch("GET", "/status", timeout=_PATIENCE)
    except MsctlError:
        return None
