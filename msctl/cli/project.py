"""The project that a command is about, and the ways to its configuration and its daemon.

Strings, and no import that is not needed at once: every command begins here.
"""

import os

from msctl.cli import streams
from msctl.cli.fleet_name import (
    check_name,
    is_told_by_user,
    running_name,
    told_by_environment,
)
from msctl.config.place import Place, find_place, upward
from msctl.errors import ConfigError, MsctlError, UsageError
from msctl.runtime.statepaths import LOCK, LOGS, RUN_FILE, SOCKET, state_root

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Sequence

    from msctl.client import ControlClient
    from msctl.config.location import ConfigLocation
    from msctl.config.models import FleetConfig
    from msctl.runtime.statedir import StateDir

_STATUS_TIMEOUT = 2.0
_GONE_POLL = 0.005


class Project:
    """Found when it is first needed, from the given files or the current directory.

    A directory may have several fleets; `name` is for one beside the first, or for the first
    by its own name. Without it `$MSCTL_PROJECT` counts, which in an instance is its own fleet
    (`$MSCTL_PROJECT_DIR` then says of which directory). Raises UsageError for a bad name.
    """

    def __init__(self, files: "Sequence[str]" = (), name: str | None = None) -> None:
        if name is not None:
            check_name(name, "--project ")
        self._files = files
        self._given = name
        self._place: Place | None = None
        self._root: str | None = None
        self._name: str | None = None
        self._is_named = False
        """Whether `_name` is settled."""

    @property
    def place(self) -> Place:
        """Where the configuration is; raises UsageError when there is none."""
        if self._place is None:
            self._place = find_place(os.getcwd(), self._files, os.environ)
        return self._place

    @property
    def name(self) -> str | None:
        """Its name beside the first fleet of the directory; None for that one itself."""
        if not self._is_named:
            try:
                directory = self.place[0]
            except UsageError:
                return self._given
            wanted = self._given or told_by_environment(directory)
            if wanted is not None and not self._is_first(directory, wanted):
                self._name = wanted
            self._is_named = True
        return self._name

    @property
    def is_chosen(self) -> bool:
        """Whether somebody has said which fleet of the directory is meant."""
        return self._given is not None or is_told_by_user()

    @property
    def program(self) -> str:
        """What the commands for this fleet begin with."""
        return "msctl" if self.name is None else f"msctl -p {self.name}"

    @property
    def first_name(self) -> str:
        """The name of the directory's first fleet; raises ConfigError when none can be read."""
        return running_name(state_root(self.place[0])) or self.load_first().project

    def beside(self, name: str) -> "Project":
        """Return the fleet of this name beside the first one of the same directory."""
        other = Project(self._files, name)
        other._place, other._name, other._is_named = self.place, name, True
        return other

    @property
    def root(self) -> str:
        """The state directory, also of a running fleet whose configuration was deleted."""
        if self._root is None:
            try:
                self._root = state_root(self.place[0], self.name)
            except UsageError:
                self._root = self._abandoned()
                if self._root is None:
                    raise
        return self._root

    @property
    def socket(self) -> str:
        """The control socket; perhaps nobody listens there."""
        return f"{self.root}/{SOCKET}"

    @property
    def logs(self) -> str:
        """The directory of the instances' logs."""
        return f"{self.root}/{LOGS}"

    @property
    def location(self) -> "ConfigLocation":
        """Where the configuration is, as paths; raises UsageError when there is none."""
        # Imported here, as all below, for start-up time.
        from pathlib import Path  # noqa: PLC0415

        from msctl.config.location import ConfigLocation  # noqa: PLC0415

        directory, files = self.place
        return ConfigLocation(Path(directory), tuple(map(Path, files)))

    @property
    def state(self) -> "StateDir":
        """The state directory with all that can be done with it."""
        from pathlib import Path  # noqa: PLC0415

        from msctl.runtime.statedir import StateDir  # noqa: PLC0415

        return StateDir(Path(self.root))

    @property
    def client(self) -> "ControlClient":
        """The way to the control API; the daemon may not be running."""
        from pathlib import Path  # noqa: PLC0415

        from msctl.client import ControlClient  # noqa: PLC0415

        return ControlClient(Path(self.socket))

    def load(self) -> "FleetConfig":
        """Read the configuration; raises ConfigError with everything that is wrong."""
        fleet = self.load_first()
        if self.name is None:
            return fleet
        from msctl.config.isolation import under_name  # noqa: PLC0415

        return under_name(fleet, self.name)

    def service_names(self) -> list[str]:
        """Return the services' names, from the daemon or else from the configuration."""
        try:
            document = self.client.fetch("GET", "/status", timeout=_STATUS_TIMEOUT)
        except MsctlError:
            return [*self.load().services]
        return [service["name"] for service in document["services"]]

    def instance_names(self, service: str) -> list[str]:
        """Return a service's instances as NAME/INSTANCE; only the daemon knows them."""
        from urllib.parse import urlencode  # noqa: PLC0415

        path = f"/status?{urlencode({'service': service})}"
        document = self.client.fetch("GET", path, timeout=_STATUS_TIMEOUT)
        return [f"{s['name']}/{i['id']}" for s in document["services"] for i in s["instances"]]

    def check_names(self, names: "Sequence[str]") -> None:
        """Raise UnknownService for a name that no service has, naming the nearest."""
        from msctl.config.naming import check_services  # noqa: PLC0415

        if names:
            check_services(names, self.service_names())

    def is_locked(self) -> bool:
        """Whether a daemon, or the guardian that cleans up after one, is still there."""
        from fcntl import LOCK_NB, LOCK_SH, flock  # noqa: PLC0415

        try:
            descriptor = os.open(f"{self.root}/{LOCK}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            flock(descriptor, LOCK_SH | LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def wait_until_gone(self, seconds: float) -> bool:
        """Wait until daemon and guardian have ended; False when the time was not enough."""
        remaining = seconds
        while self.is_locked():
            if remaining <= 0:
                return False
            streams.wait(seconds=_GONE_POLL)
            remaining -= _GONE_POLL
        return True

    def running_pid(self) -> int | None:
        """Return the daemon's process id as the run file has it; None when there is none."""
        try:
            with open(f"{self.root}/{RUN_FILE}", "rb") as file:
                # `json` takes longer to import than a command may: the number up to the comma.
                text = file.read().partition(b'"pid":')[2].partition(b",")[0].strip(b" }\n")
        except OSError:
            return None
        return int(text) if text.isdigit() else None

    def load_first(self) -> "FleetConfig":
        """Read the configuration as the first fleet has it; raises ConfigError."""
        from msctl.config.loader import load_fleet  # noqa: PLC0415

        return load_fleet(self.location, os.environ)

    def _is_first(self, directory: str, name: str) -> bool:
        """Whether this is the first fleet's own name."""
        if running_name(state_root(directory)) == name:
            return True
        if os.path.isdir(state_root(directory, name)):
            return False
        try:
            return self.load_first().project == name
        except ConfigError:
            return False  # whoever needs it will say what is wrong

    def _abandoned(self) -> str | None:
        """Return the state of a running fleet here or above that has no configuration."""
        for directory in upward(os.getcwd()) if not self._files else ():
            wanted = self._given or told_by_environment(directory)
            for root in (state_root(directory), state_root(directory, wanted)):
                running = running_name(root)
                if running is not None and wanted in (None, running):
                    return root
        return None


def names_or_none(project: Project) -> list[str]:
    """Return the services' names for suggestions; none when they cannot be had."""
    try:
        return project.service_names()
    except (ConfigError, MsctlError, OSError):
        return []
