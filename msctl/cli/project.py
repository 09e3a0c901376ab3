"""The project that a command is about, and the ways to its configuration and its daemon.

Strings, and no import that is not needed at once: every command begins here.
"""

import os

from msctl.cli import streams
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
    """Found when it is first needed, from the given files or the current directory."""

    def __init__(self, files: "Sequence[str]" = ()) -> None:
        self._files = files
        self._place: Place | None = None
        self._root: str | None = None

    @property
    def place(self) -> Place:
        """Where the configuration is; raises UsageError when there is none."""
        if self._place is None:
            self._place = find_place(os.getcwd(), self._files, os.environ)
        return self._place

    @property
    def root(self) -> str:
        """The state directory, also of a running fleet whose configuration was deleted."""
        if self._root is None:
            try:
                self._root = state_root(self.place[0])
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

    def _abandoned(self) -> str | None:
        """Return the state of a running fleet here or above that has no configuration."""
        for directory in upward(os.getcwd()) if not self._files else ():
            root = state_root(directory)
            if os.path.exists(f"{root}/{RUN_FILE}"):
                return root
        return None


def names_or_none(project: Project) -> list[str]:
    """Return the services' names for suggestions; none when they cannot be had."""
    try:
        return project.service_names()
    except (ConfigError, MsctlError, OSError):
        return []
