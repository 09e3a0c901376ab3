"""Programs that a benchmark starts, what they use, and their end.

Every program is started by this process and ended by its id, whatever happens: an error, Ctrl-C
or SIGTERM. Nothing is ever looked up by its name.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_START_TIME = 15.0
_STOP_TIME = 5.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and all its descendants have at this moment."""

    cpu: float
    """Seconds, user and system, since they were started; exact to 10 ms for each process."""
    rss: int
    """Bytes; pages that several of them share are counted in each."""
    pss: int
    """Bytes; shared pages are divided among those that share them."""
    threads: int
    descriptors: int


class Program:
    """One program under test; `stop` ends it and everything it has started."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cpus: frozenset[int] | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path,
    ) -> None:
        self.name = Path(command[0]).name
        self._log = directory / f"{self.name}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=os.environ | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if cpus:
            # Before it has started any thread or worker: those inherit it.
            os.sched_setaffinity(self._process.pid, cpus)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_port(self, port: int) -> None:
        """Return once the port accepts; RuntimeError with the program's output otherwise."""
        deadline = time.monotonic() + _START_TIME
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not listen on {port}:\n{self.output()}")

    def output(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def usage(self) -> Usage:
        return usage(self.pid)

    def stop(self) -> None:
        """End the whole process group, in peace if it ends soon."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_TIME)
                break
        with contextlib.suppress(ProcessLookupError):  # what its leader may have left behind
            os.killpg(self.pid, signal.SIGKILL)


def usage(pid: int) -> Usage:
    """Measure a process and its descendants."""
    each = [_usage_of(one) for one in family(pid)]
    return Usage(
        cpu=sum(one.cpu for one in each),
        rss=sum(one.rss for one in each),
        pss=sum(one.pss for one in each),
        threads=sum(one.threads for one in each),
        descriptors=sum(one.descriptors for one in each),
    )


def usage_of(pid: int) -> Usage:
    """Measure one process alone; ProcessLookupError when it is no more."""
    if not Path(f"/proc/{pid}").exists():
        raise ProcessLookupError(pid)
    return _usage_of(pid)


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found, to_visit = [], [pid]
    while to_visit:
        one = to_visit.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                to_visit += map(int, (task / "children").read_text().split())
    return found


def _usage_of(pid: int) -> Usage:
    root = Path(f"/proc/{pid}")
    try:
        fields = (root / "stat").read_text().rpartition(")")[2].split()
        rollup = (root / "smaps_rollup").read_text()
        descriptors = len(list((root / "fd").iterdir()))
    except OSError:
        return Usage(0.0, 0, 0, 0, 0)  # it has ended a moment ago
    sizes = dict(line.split(":") for line in rollup.splitlines()[1:])
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        rss=int(sizes["Rss"].split()[0]) * _KIB,
        pss=int(sizes["Pss"].split()[0]) * _KIB,
        threads=int(fields[17]),
        descriptors=descriptors,
    )


def free_ports(count: int) -> list[int]:
    """Return ports that the system says are free, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let these signals unwind the program, so that every `finally` runs and ends what it owns.

    SIGINT as well: a shell starts what runs in the background with it ignored.
    """

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {
        one: signal.signal(one, unwind) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
