"""What `msctl doctor` finds out about interpreter and machine."""

import os
import resource
import shutil
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from msctl.clock import SystemClock
from msctl.config.models import FleetConfig
from msctl.runtime import cgroups
from msctl.runtime.doctor_machine import DiskFacts, FleetSize, MachineFacts, PythonFacts
from msctl.runtime.proctree import read_proc
from msctl.runtime.statedir import StateDir

_PACKAGES = ("msctl", "uvloop", "uvicorn", "fastapi", "pydantic")
_PROC = Path("/proc")
_SOMAXCONN = _PROC / "sys/net/core/somaxconn"


def look_at_python() -> PythonFacts:
    """Return which interpreter this is, and what is installed for it."""
    return PythonFacts(
        version=sys.version_info[:3],
        executable=sys.executable,
        in_venv=sys.prefix != sys.base_prefix,
        packages={name: _version(name) for name in _PACKAGES},
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def look_at_machine(state: StateDir | None) -> MachineFacts:
    """Return what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    controllers = _controllers()
    return MachineFacts(
        platform=sys.platform,
        open_files=None if hard == resource.RLIM_INFINITY else hard,
        processes_left=_processes_left(controllers),
        backlog=_number(_SOMAXCONN),
        now=SystemClock().wall(),
        newest_file=_newest_file(state) if state else 0.0,
        setpriv=shutil.which("setpriv") is not None,
        reads_proc=(_PROC / "self/stat").exists(),
        sees_others=(_PROC / "1").exists(),
        controllers={
            name: os.access(controller.directory, os.W_OK)
            for name, controller in controllers.items()
            if name != "pids"
        },
    )


def _controllers() -> dict[str, cgroups.Controller]:
    with suppress(OSError, ValueError, IndexError):
        return cgroups.find_controllers(("memory", "cpu", "pids"))
    return {}


def _processes_left(controllers: dict[str, cgroups.Controller]) -> int | None:
    """Return how many processes may still be started; threads count like them."""
    left = []
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:  # root is not held to it
        left.append(soft - _own_threads())
    if "pids" in controllers:
        directory = controllers["pids"].directory
        most, current = _number(directory / "pids.max"), _number(directory / "pids.current")
        if most is not None and current is not None:
            left.append(most - current)
    return min(left, default=None)


def _own_threads() -> int:
    """Count the threads of this user's processes."""
    uid, threads = os.geteuid(), 0
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if process.stat().st_uid == uid:
                stat = read_proc(process.name, "stat")
                threads += int(stat[stat.rindex(b")") + 2 :].split()[17])
    return threads


def _number(path: Path) -> int | None:
    """Return the number in a file of the kernel; None for `max`, or where there is no file."""
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _newest_file(state: StateDir) -> float:
    times = [0.0]
    with suppress(OSError):
        for path in (state.run_file, *state.logs.glob("*.log")):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
    return max(times)


def look_at_disk(state: StateDir) -> DiskFacts:
    """Return what room there is where the state lies, or will lie."""
    place = state.root
    while not place.exists() and place != place.parent:
        place = place.parent
    writable = os.access(place, os.W_OK | os.X_OK)
    return DiskFacts(place=place, writable=writable, free=shutil.disk_usage(place).free)


def size_of(fleet: FleetConfig | None) -> FleetSize:
    """Return how much is to run."""
    if fleet is None:
        return FleetSize()
    services = fleet.services.values()
    most = [max(s.replicas, (s.scaling and s.scaling.max) or 0) for s in services]
    limited = [s.name for s in services if s.resources is not None]
    return FleetSize(services=len(most), instances=sum(most), limited=limited)
