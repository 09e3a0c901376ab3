"""The project that a command is about, and the ways to its configuration and its daemon."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msctl.cli import streams
from msctl.client import ControlClient
from msctl.config.location import ConfigLocation, find_config
from msctl.config.naming import check_services
from msctl.errors import ConfigError, MsctlError, UsageError
from msctl.runtime.statedir import StateDir

if TYPE_CHECKING:
    from msctl.config.models import FleetConfig

_STATUS_TIMEOUT = 2.0
_GONE_POLL = 0.02


class Project:
    """Found when it is first needed, from the given files or the current directory."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        self._files = files

    @cached_property
    def location(self) -> ConfigLocation:
        """Where the configuration is; raises UsageError when there is none."""
        return find_config(Path.cwd(), self._files, os.environ)

    @cached_property
    def state(self) -> StateDir:
        """The state directory, also of a running fleet whose configuration was deleted."""
        try:
            return StateDir.for_project(self.location.project_dir)
        except UsageError:
            here = Path.cwd()
            for directory in (here, *here.parents) if not self._files else ():
                state = StateDir.for_project(directory)
                if state.run_file.exists():
                    return state
            raise

    @cached_property
    def client(self) -> ControlClient:
        """The way to the daemon; it may not be running."""
        return ControlClient(self.state.socket)

    def load(self) -> "FleetConfig":
        """Read the configuration; raises ConfigError with everything that is wrong."""
        # Imported here for start-up time: pydantic and YAML cost more than most commands.
        from msctl.config.loader import load_fleet  # noqa: PLC0415

        return load_fleet(self.location, os.environ)

    def service_names(self) -> list[str]:
        """Return the services' names, from the daemon or else from the configuration."""
        try:
            document = self.client.fetch("GET", "/status", timeout=_STATUS_TIMEOUT)
        except MsctlError:
            return [*self.load().services]
        return [service["name"] for service in document["services"]]

    def instance_names(self, service: str) -> list[str]:
        """Return a service's instances as NAME/INSTANCE; only the daemon knows them."""
        path = f"/status?{urlencode({'service': service})}"
        document = self.client.fetch("GET", path, timeout=_STATUS_TIMEOUT)
        return [f"{s['name']}/{i['id']}" for s in document["services"] for i in s["instances"]]

    def check_names(self, names: Sequence[str]) -> None:
        """Raise UnknownService for a name that no service has, naming the nearest."""
        if names:
            check_services(names, self.service_names())

    def wait_until_gone(self, seconds: float) -> bool:
        """Wait until daemon and guardian have ended; False when the time was not enough."""
        remaining = seconds
        while self.state.is_locked():
            if remaining <= 0:
                return False
            streams.wait(seconds=_GONE_POLL)
            remaining -= _GONE_POLL
        return True

    def running_pid(self) -> int | None:
        """Return the daemon's process id as the run file has it; None when there is none."""
        try:
            return int(json.loads(self.state.run_file.read_bytes())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def names_or_none(project: Project) -> list[str]:
    """Return the services' names for suggestions; none when they cannot be had."""
    try:
        return project.service_names()
    except (ConfigError, MsctlError, OSError):
        return []
