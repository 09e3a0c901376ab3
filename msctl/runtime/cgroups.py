"""The kernel's control groups, of either version, where this process may make some.

An instance with limits gets a group of its own below the daemon's. Nothing here is needed for
an instance to run: what cannot be had raises OSError, and `limits.py` does without.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self")
_PERIOD: Final = 100_000
"""Microseconds over which processor time is counted: the kernel's default."""
_NAMED: Final = re.compile(r"msctl-(\d+)")
_UNIFIED: Final = ""


@dataclass(frozen=True, slots=True)
class Controller:
    """The group that this process is in, in the hierarchy that controls one resource."""

    directory: Path
    unified: bool
    """Version 2: one hierarchy for all resources."""


def find_controllers(names: Iterable[str], proc: Path = _PROC) -> dict[str, Controller]:
    """Return the hierarchies that control these resources; those that are missing are left out."""
    found = {}
    own = _own_groups((proc / "cgroup").read_text())
    for line in (proc / "mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        root, mount_point = (_unescape(text) for text in fields.split(" ")[3:5])
        for name in names:
            if kind == "cgroup2" and _UNIFIED in own:
                directory = _below(mount_point, root, own[_UNIFIED])
                if name in _words(directory / "cgroup.controllers"):
                    found[name] = Controller(directory, unified=True)
            elif kind == "cgroup" and name in options.split(",") and name in own:
                found[name] = Controller(_below(mount_point, root, own[name]), unified=False)
    return found


class Group:
    """The group of one instance, in each of the hierarchies that its limits need."""

    def __init__(self, owner: str, name: str, controllers: Mapping[str, Controller]) -> None:
        self._controllers = controllers
        self._directories = {
            resource: controller.directory / owner / name
            for resource, controller in controllers.items()
        }

    def create(self) -> None:
        """Make the group; raises OSError."""
        for resource, directory in self._directories.items():
            controller = self._controllers[resource]
            if controller.unified:
                _enable(resource, controller.directory)
            directory.parent.mkdir(exist_ok=True)
            if controller.unified:
                _enable(resource, directory.parent)
            directory.mkdir(exist_ok=True)

    def limit_memory(self, most: int) -> None:
        """Let the kernel kill what grows beyond so many bytes; raises OSError."""
        unified = self._controllers["memory"].unified
        self._write("memory", "memory.max" if unified else "memory.limit_in_bytes", most)

    def limit_cpus(self, cpus: float) -> None:
        """Let it use so much processor time each second, in seconds; raises OSError."""
        quota = max(1000, round(cpus * _PERIOD))  # the least that the kernel takes
        if self._controllers["cpu"].unified:
            self._write("cpu", "cpu.max", f"{quota} {_PERIOD}")
        else:
            self._write("cpu", "cpu.cfs_period_us", _PERIOD)
            self._write("cpu", "cpu.cfs_quota_us", quota)

    def enter(self, pid: int) -> None:
        """Put a process in, and all that it starts from now on; raises OSError."""
        for directory in set(self._directories.values()):
            (directory / "cgroup.procs").write_text(str(pid))

    def members(self) -> list[int]:
        """Return the processes that are in it."""
        return [int(pid) for path in self._some() for pid in _words(path / "cgroup.procs")]

    def kills(self) -> int:
        """Return how many processes the kernel has killed here for want of memory."""
        if "memory" not in self._directories:
            return 0
        directory = self._directories["memory"]
        unified = self._controllers["memory"].unified
        words = _words(directory / ("memory.events" if unified else "memory.oom_control"))
        return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0

    def remove(self) -> bool:
        """Remove the group; False while somebody is still in it."""
        for directory in set(self._directories.values()):
            try:
                directory.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return False
            with contextlib.suppress(OSError):  # it has other members
                directory.parent.rmdir()
        return True

    def _some(self) -> list[Path]:
        return list(self._directories.values())[:1]

    def _write(self, resource: str, file: str, value: int | str) -> None:
        (self._directories[resource] / file).write_text(str(value))


def remove_stale(controllers: Mapping[str, Controller]) -> None:
    """Remove the groups of daemons that are no more."""
    for controller in controllers.values():
        for directory in controller.directory.glob("msctl-*"):
            match = _NAMED.fullmatch(directory.name)
            if match and not Path("/proc", match[1]).exists():
                for each in (*directory.iterdir(), directory):
                    with contextlib.suppress(OSError):  # not empty, or not a directory
                        each.rmdir()


def owner_name() -> str:
    """Return the name under which this process keeps its groups."""
    return f"msctl-{os.getpid()}"


def _own_groups(text: str) -> dict[str, str]:
    """Read /proc/PID/cgroup: the path of the group by controller, version 2 under ''."""
    groups = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        groups.update(dict.fromkeys(names.split(","), path))
    return groups


def _below(mount_point: str, root: str, path: str) -> Path:
    """Return where a group is seen: a container's mount may begin deep in the hierarchy."""
    inside = path.removeprefix(root.rstrip("/")) if path.startswith(root) else path
    return Path(mount_point) / inside.lstrip("/")


def _enable(resource: str, directory: Path) -> None:
    control = directory / "cgroup.subtree_control"
    if resource not in _words(control):
        control.write_text(f"+{resource}")


def _words(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text().split()
    return []


def _unescape(text: str) -> str:
    """Undo mountinfo's octal escapes of blanks and the like."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)
