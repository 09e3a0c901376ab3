"""The checks of interpreter and machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msctl.clock import timestamp
from msctl.runtime.doctor import Finding, Topic, enumerate_names, fail, ok, warn
from msctl.runtime.logstore import KEPT_FILES, MAX_FILE
from msctl.runtime.ports import BACKLOG

OLDEST_PYTHON = (3, 11)
_BASE_FILES = 256
"""Descriptors that a daemon has without a fleet, with room to spare."""
_FILES_AN_INSTANCE = 4
"""Its two pipes, its listening socket for a moment, a health check."""
_FILES_A_SERVICE = 2
_FILES_A_CALL = 2
_FEW_CALLS = 1024
"""Calls at once that one service may have by default (contract.md, `limits`)."""
_PROCESSES_AN_INSTANCE = 4
_LEAST_SPACE = 16 << 20
"""Bytes without which not even the state of a fleet is sure to fit."""
_BUILT_AFTER = 1_735_689_600.0
"""2025-01-01: no clock that is right shows an earlier time."""
_SLACK = 60.0
"""Seconds that a file may seem to come from the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFacts:
    """The interpreter that runs this, and what is installed for it."""

    version: tuple[int, int, int]
    executable: str
    in_venv: bool
    packages: Mapping[str, str | None]
    """The version of each, None for one that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What the system allows; None stands for without limit, or for what cannot be told."""

    platform: str
    open_files: int | None
    """The hard limit, which the daemon raises its own to."""
    processes_left: int | None
    backlog: int | None
    """net.core.somaxconn."""
    now: float
    newest_file: float
    """When something was written last in the state directory; seconds since the epoch."""
    setpriv: bool
    reads_proc: bool
    sees_others: bool
    """Whether processes of other users are shown."""
    controllers: Mapping[str, bool]
    """The control groups' controllers that there are, and whether groups can be made there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """Where a fleet keeps its state and its logs."""

    place: Path
    writable: bool
    free: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSize:
    """What is to run here, once everything does."""

    services: int = 0
    instances: int = 0
    limited: Sequence[str] = ()
    """Services with `resources`."""


def check_python(facts: PythonFacts) -> Iterator[Finding]:
    """Look at the interpreter and at what msctl needs of packages."""
    version = ".".join(map(str, facts.version))
    place = "in a virtual environment" if facts.in_venv else "not in a virtual environment"
    said = f"{version}, {facts.executable}, {place}"
    if facts.version < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        yield fail(Topic.PYTHON, "interpreter", said, f"install Python {needed} or later")
    else:
        yield ok(Topic.PYTHON, "interpreter", said)
    for name, found in facts.packages.items():
        if found is None:
            yield fail(
                Topic.PYTHON, name, "not installed", "pip install msctl, in this interpreter"
            )
        else:
            yield ok(Topic.PYTHON, name, found)


def check_machine(facts: MachineFacts, size: FleetSize) -> Iterator[Finding]:
    """Look at the system and at the limits that it sets."""
    yield _platform(facts)
    yield _open_files(facts.open_files, size)
    yield from _processes(facts.processes_left, size)
    if facts.backlog is not None and facts.backlog < BACKLOG:
        message = f"{facts.backlog}: that many connections may wait, {BACKLOG} would be used"
        hint = f"sysctl -w net.core.somaxconn={BACKLOG}"
        yield warn(Topic.MACHINE, "somaxconn", message, hint)
    elif facts.backlog is not None:
        yield ok(Topic.MACHINE, "somaxconn", str(facts.backlog))
    if facts.platform == "linux":
        yield from _linux(facts, size)
    yield _clock(facts)


def _platform(facts: MachineFacts) -> Finding:
    if facts.platform == "win32":
        return fail(Topic.MACHINE, "system", "Windows", "use it inside WSL")
    if facts.platform != "linux":
        return warn(
            Topic.MACHINE,
            "system",
            f"{facts.platform}: instances are exec'd, there are no control groups",
        )
    return ok(Topic.MACHINE, "system", "linux")


def _open_files(hard: int | None, size: FleetSize) -> Finding:
    if hard is None:
        return ok(Topic.MACHINE, "open files", "no limit")
    needed = _BASE_FILES + _FILES_AN_INSTANCE * size.instances + _FILES_A_SERVICE * size.services
    calls = max(0, hard - needed) // _FILES_A_CALL
    said = f"{hard} at most; {needed} for this fleet leave room for {calls} calls at once"
    hint = "raise the hard limit: ulimit -Hn, or LimitNOFILE of the unit"
    if hard < needed:
        return fail(Topic.MACHINE, "open files", f"{hard} at most, {needed} needed", hint)
    if calls < _FEW_CALLS:
        return warn(Topic.MACHINE, "open files", said, hint)
    return ok(Topic.MACHINE, "open files", said)


def _processes(left: int | None, size: FleetSize) -> Iterator[Finding]:
    if left is None:
        yield ok(Topic.MACHINE, "processes", "no limit")
        return
    said, hint = f"{max(0, left)} more may be started", "raise it: ulimit -u, or pids.max"
    if left < size.instances:
        message = f"{said}, and {size.instances} instances are configured"
        yield fail(Topic.MACHINE, "processes", message, hint)
    elif left < _PROCESSES_AN_INSTANCE * size.instances:
        yield warn(Topic.MACHINE, "processes", f"{said}, which is little with threads", hint)
    else:
        yield ok(Topic.MACHINE, "processes", said)


def _linux(facts: MachineFacts, size: FleetSize) -> Iterator[Finding]:
    if facts.setpriv:
        yield ok(Topic.MACHINE, "setpriv", "found")
    else:
        message = "not found: exec'd instances outlive daemon and guardian killed at once"
        yield warn(Topic.MACHINE, "setpriv", message, "install util-linux")
    if not facts.reads_proc:
        message = "cannot be read: no memory figures, no holders of ports, no clean end"
        yield fail(Topic.MACHINE, "/proc", message, "mount it: mount -t proc proc /proc")
    elif not facts.sees_others:
        message = "processes of other users are hidden: not every holder of a port is named"
        yield warn(Topic.MACHINE, "/proc", message)
    else:
        yield ok(Topic.MACHINE, "/proc", "readable")
    yield _control_groups(facts.controllers, size.limited)


def _control_groups(controllers: Mapping[str, bool], limited: Sequence[str]) -> Finding:
    able = [name for name, writable in controllers.items() if writable]
    if able:
        said = f"can be made for {' and '.join(able)}"
        return ok(Topic.MACHINE, "control groups", f"{said}; `resources` are enforced by them")
    why = "cannot be written" if controllers else "are not there"
    message = f"{why}: `resources` are enforced by rlimits and affinity"
    if not limited:
        return ok(Topic.MACHINE, "control groups", f"{message}; no service has any")
    message += f" (of {enumerate_names(limited)})"
    hint = "run msctl in a unit or container that delegates them (Delegate=yes)"
    return warn(Topic.MACHINE, "control groups", message, hint)


def _clock(facts: MachineFacts) -> Finding:
    hint = "set it, and keep it with NTP"
    if facts.now < _BUILT_AFTER:
        return fail(Topic.MACHINE, "clock", f"it shows {timestamp(facts.now)}", hint)
    if facts.newest_file > facts.now + _SLACK:
        message = f"it was set back: the last run ended at {timestamp(facts.newest_file)}"
        return warn(Topic.MACHINE, "clock", f"{message}; logs are merged by time", hint)
    return ok(Topic.MACHINE, "clock", timestamp(facts.now))


def check_disk(facts: DiskFacts, size: FleetSize) -> Iterator[Finding]:
    """Look at the place of the state directory."""
    if not facts.writable:
        yield fail(Topic.STATE, "directory", f"{facts.place} cannot be written", "change its mode")
        return
    logs = size.instances * MAX_FILE * KEPT_FILES
    free = f"{facts.free >> 20} MiB free in {facts.place}"
    if facts.free < _LEAST_SPACE:
        yield fail(Topic.STATE, "disk", free, "make room: logs would be lost")
    elif facts.free < logs + _LEAST_SPACE:
        message = f"{free}; the logs may take up to {logs >> 20} MiB"
        yield warn(Topic.STATE, "disk", message, "make room: what does not fit is dropped")
    else:
        yield ok(Topic.STATE, "disk", free)
