"""Who listens on a port, as the system tells it. Blocks while it looks at all processes."""

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"  # of /proc/net/tcp
_LONGEST_COMMAND = 120
_PREFIX = "socket:["


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens; `pid` is None for one of another user, which is not shown."""

    pid: int | None = None
    command: str = ""

    def __str__(self) -> str:
        """Name it as `pid 4312 (postgres -D …)`."""
        if self.pid is None:
            return "a process of another user"
        return f"pid {self.pid} ({self.command})"


def find_holders(ports: Collection[int]) -> dict[int, Holder]:
    """Return the holders of those of these ports that somebody listens on."""
    sockets = _listening_sockets(ports)
    found: dict[int, Holder] = {}
    if sockets:
        for process in Path("/proc").glob("[0-9]*"):
            for port in _held_by(process, sockets):
                found.setdefault(port, Holder(int(process.name), _command(process)))
    return {port: found.get(port, Holder()) for port in sorted(set(sockets.values()))}


def _held_by(process: Path, sockets: dict[str, int]) -> set[int]:
    ports = set()
    with contextlib.suppress(OSError):
        directory = f"{process}/fd"
        for descriptor in os.listdir(directory):  # noqa: PTH208  a Path each costs more
            with contextlib.suppress(OSError):
                name = os.readlink(f"{directory}/{descriptor}")  # noqa: PTH115  as above
                if name.startswith(_PREFIX) and name in sockets:
                    ports.add(sockets[name])
    return ports


def _listening_sockets(ports: Collection[int]) -> dict[str, int]:
    """Return the names that /proc/PID/fd has for listening sockets, and the port of each."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                port = int(fields[1].rpartition(":")[2], 16)
                if fields[3] == _LISTENING and port in ports:
                    found[f"{_PREFIX}{fields[9]}]"] = port
    return found


def _command(process: Path) -> str:
    with contextlib.suppress(OSError):
        words = (process / "cmdline").read_bytes().split(b"\0")
        return os.fsdecode(b" ".join(words)).strip()[:_LONGEST_COMMAND]
    return "?"
