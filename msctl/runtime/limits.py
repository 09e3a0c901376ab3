"""What an instance may use: by control groups where they can be written, else by its own limits.

The level that `resources: {memory}` names is where the instance is replaced in peace (see
`memory_watch.py`). What is enforced here is the end of the road for one that grows too fast for that.
"""

import errno
import math
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from msctl.config.process import ResourcesConfig
from msctl.runtime import cgroups
from msctl.runtime.cgroups import Controller, Group

HEADROOM: Final = 0.25
"""Part of `memory` beyond it at which the kernel kills an instance in a control group."""
LEAST_HEADROOM: Final = 64 << 20
LOOSE_HEADROOM: Final = 1 << 30
"""Bytes beyond `memory` that an rlimit allows: it counts what is reserved, stacks of threads too."""


@dataclass(slots=True)
class Applied:
    """The limits of one running instance, and how they are enforced."""

    how: str = ""
    """For people, such as `memory 512 MiB and cpus 1.5 by cgroup, nice 5`; empty: none."""
    group: Group | None = None

    def release(self) -> bool:
        """Give the control group back; False while something is still in it."""
        return self.group is None or self.group.remove()

    def kills(self) -> int:
        """Return how many of its processes the kernel has killed for want of memory."""
        return 0 if self.group is None else self.group.kills()


@dataclass(slots=True)
class Limiter:
    """Applies limits to processes that were just started."""

    controllers: Mapping[str, Controller]
    cpus: Sequence[int]
    """The processors there are for instances."""
    owner: str = field(default_factory=cgroups.owner_name)
    _turns: "count[int]" = field(default_factory=count)

    def apply(self, instance: str, pid: int, limits: ResourcesConfig) -> Applied:
        """Limit a process and all that it will start; what cannot be had is told in `how`.

        Blocks for as long as the kernel takes for a few files. A process that has ended
        already needs no limits.
        """
        try:
            return self._apply(instance, pid, limits)
        except ProcessLookupError:
            return Applied()

    def _apply(self, instance: str, pid: int, limits: ResourcesConfig) -> Applied:
        said, group = [], None
        if limits.memory is not None or limits.cpus is not None:
            group, words = self._group(instance, pid, limits)
            said.append(words)
            if group is None:
                said.append(self._without_group(pid, limits))
        if limits.open_files is not None:
            said.append(_limit_files(pid, limits.open_files))
        if limits.nice is not None:
            said.append(_renice(pid, limits.nice))
        return Applied(", ".join(filter(None, said)), group)

    def _group(self, instance: str, pid: int, limits: ResourcesConfig) -> tuple[Group | None, str]:
        wanted = {"memory": limits.memory, "cpu": limits.cpus}
        needed = [name for name, value in wanted.items() if value is not None]
        if missing := [name for name in needed if name not in self.controllers]:
            return None, f"no cgroup for {' and '.join(missing)}"
        group = Group(self.owner, instance, {name: self.controllers[name] for name in needed})
        try:
            group.create()
            if limits.memory is not None:
                group.limit_memory(hard_memory(limits.memory))
            if limits.cpus is not None:
                group.limit_cpus(limits.cpus)
            group.enter(pid)
        except OSError as error:
            group.remove()
            if error.errno == errno.ESRCH:
                raise ProcessLookupError(pid) from error
            return None, f"cgroups cannot be written ({error.strerror})"
        return group, " and ".join(_figures(limits)) + " by cgroup"

    def _without_group(self, pid: int, limits: ResourcesConfig) -> str:
        said = []
        if limits.memory is not None and hasattr(resource, "prlimit"):
            most = max(2 * limits.memory, limits.memory + LOOSE_HEADROOM)
            _set_rlimit(pid, resource.RLIMIT_DATA, most)
            said.append(f"memory {size(limits.memory)} by rlimit")
        if limits.cpus is not None and hasattr(os, "sched_setaffinity"):
            chosen = self._processors(limits.cpus)
            os.sched_setaffinity(pid, chosen)
            said.append(f"cpus {limits.cpus:g} by affinity ({len(chosen)} of {len(self.cpus)})")
        return ", ".join(said)

    def _processors(self, cpus: float) -> list[int]:
        """Return as many as that takes; neighbours in turn, so that instances spread."""
        number = min(len(self.cpus), math.ceil(cpus))
        first = next(self._turns) * number
        return [self.cpus[(first + step) % len(self.cpus)] for step in range(number)]


def open_limiter() -> Limiter:
    """Look at what this machine has, and clear away what dead daemons have left."""
    controllers: dict[str, Controller] = {}
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            controllers = cgroups.find_controllers(("memory", "cpu"))
            cgroups.remove_stale(controllers)
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return Limiter(controllers, usable)


def hard_memory(memory: int) -> int:
    """Return the bytes at which the kernel ends an instance that is to use `memory`."""
    return memory + max(round(memory * HEADROOM), LEAST_HEADROOM)


def size(number: int) -> str:
    """Write bytes for people."""
    return f"{number / (1 << 20):g} MiB"


def _figures(limits: ResourcesConfig) -> list[str]:
    figures = []
    if limits.memory is not None:
        figures.append(f"memory {size(limits.memory)}")
    if limits.cpus is not None:
        figures.append(f"cpus {limits.cpus:g}")
    return figures


def _limit_files(pid: int, number: int) -> str:
    if not hasattr(resource, "prlimit"):
        return "open_files not limited: not on this system"
    try:
        _set_rlimit(pid, resource.RLIMIT_NOFILE, number)
    except PermissionError:
        return f"open_files {number} not allowed"
    return f"open_files {number}"


def _renice(pid: int, nice: int) -> str:
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except PermissionError:
        return f"nice {nice} not allowed"
    return f"nice {nice}"


def _set_rlimit(pid: int, what: int, most: int) -> None:
    _, hard = resource.prlimit(pid, what)
    if hard != resource.RLIM_INFINITY and os.geteuid() != 0:
        most = min(most, hard)
    resource.prlimit(pid, what, (most, most))
