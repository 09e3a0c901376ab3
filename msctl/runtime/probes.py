"""How one check of one instance is made: over HTTP, over TCP, or by a command.

A probe always answers with a ProbeResult; what goes wrong with it is the instance's failure.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msctl.core.health import ProbeKind, ProbeResult
from msctl.runtime.check import Done, HttpCheck, TcpCheck
from msctl.runtime.reaper import Reaper

Cancel = Callable[[], None]


class Probe(Protocol):
    """Makes one check."""

    def begin(self, timeout: float, done: Done) -> Cancel:
        """Ask once, and tell `done` later what came of it; what is returned ends it untold.

        An answer that takes longer than `timeout` seconds is a failure.
        """
        ...


async def ask(probe: Probe, timeout: float) -> ProbeResult:
    """Make one check and wait for its result."""
    answered: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()

    def tell(result: ProbeResult) -> None:
        if not answered.done():  # who asked may have been cancelled in this very turn
            answered.set_result(result)

    cancel = probe.begin(timeout, tell)
    try:
        return await answered
    finally:
        cancel()


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """GET on the health path; each check has a connection of its own."""

    host: str
    port: int
    path: str
    expect_status: tuple[int, ...] | None = None

    def begin(self, timeout: float, done: Done) -> Cancel:
        """Ask once."""
        request = (
            f"GET {self.path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n"
            "User-Agent: msctl-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        check = HttpCheck(self.port, request.encode(), self.expect_status, done)
        return check.begin(self.host, timeout)


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connects; for services that open their port only when they are ready."""

    host: str
    port: int

    def begin(self, timeout: float, done: Done) -> Cancel:
        """Connect once."""
        return TcpCheck(self.port, done).begin(self.host, timeout)


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Runs a command in the instance's environment; exit code 0 is healthy."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: Path
    reaper: Reaper

    def begin(self, timeout: float, done: Done) -> Cancel:
        """Run it once; it is killed with all its helpers when the time is over."""
        loop, name = asyncio.get_running_loop(), self.command[0]
        try:
            child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self.working_dir,
                env=self.environment,
                start_new_session=True,
            )
        except OSError as error:
            result = ProbeResult(ProbeKind.FAILED, f"cannot run {name}: {error.strerror}")
            return loop.call_soon(done, result).cancel
        child.returncode = 0  # the reaper collects it, not Popen
        run = _CommandRun(child.pid, name, done)
        self.reaper.watch(child.pid, run.exited)
        run.timer = loop.call_later(timeout, run.expired, timeout)
        return run.cancel


class _CommandRun:
    """A command that was started for a check; it is over when `timer` is None."""

    def __init__(self, pid: int, name: str, done: Done) -> None:
        self.timer: asyncio.TimerHandle | None = None
        self._pid = pid
        self._name = name
        self._done = done

    def exited(self, code: int) -> None:
        kind = ProbeKind.OK if code == 0 else ProbeKind.FAILED
        self._finish(kind, f"{self._name} ended with exit code {code}")

    def expired(self, timeout: float) -> None:
        self._finish(ProbeKind.FAILED, f"{self._name} did not end within {timeout:g} s")

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def _finish(self, kind: ProbeKind, detail: str) -> None:
        if self.timer is not None:
            self.cancel()
            self._done(ProbeResult(kind, detail))
