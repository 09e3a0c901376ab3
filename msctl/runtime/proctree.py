"""Which processes descend from which, read from the system: nothing is remembered here.

Standard library only and cheap to import: the guardian uses it too.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_READ_SIZE = 64 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Make orphaned descendants children of this process instead of init (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  8 ms that other users of this module do not need

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Return all living descendants of `root`, zombies left out, parents before children."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, ()))
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def instance_of(pid: int) -> str | None:
    """Return the MSCTL_INSTANCE that a process was started with; None when it cannot be told."""
    try:
        environ = read_proc(pid, "environ")
    except OSError:
        return None
    for entry in environ.split(b"\0"):
        if entry.startswith(b"MSCTL_INSTANCE="):
            return os.fsdecode(entry.partition(b"=")[2])
    return None


def read_proc(pid: int | str, name: str) -> bytes:
    """Read a file of /proc/PID; OSError when the process has gone, at whatever moment."""
    # Not with open(): when the process goes in the midst of it, the file is left unclosed.
    descriptor = os.open(f"{_PROC}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, _READ_SIZE):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def resident_memory(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        return int(read_proc(pid, "statm").split(None, 2)[1]) * _PAGE
    return 0


def kill_descendants(poll: float = 0.002) -> None:
    """Kill and reap everything that descends from this process, until nothing is left.

    Needs a subreaper: every killed process hands its children to this one, so each round
    sees what the round before it set free.
    """
    while True:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(poll)


def _parents() -> Iterable[tuple[int, int]]:
    if not (_PROC / "self" / "stat").exists():
        yield from _parents_from_ps()
        return
    for name in filter(str.isdecimal, os.listdir(_PROC)):  # noqa: PTH208  a third of the time
        with suppress(OSError, ValueError, IndexError):
            stat = read_proc(name, "stat")
            # the command's name stands in parentheses and may itself hold some
            state, parent = stat[stat.rindex(b")") + 2 :].split(None, 2)[:2]
            if state != b"Z":
                yield int(name), int(parent)


def _parents_from_ps() -> Iterable[tuple[int, int]]:
    listing = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False
    ).stdout
    for line in listing.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)
