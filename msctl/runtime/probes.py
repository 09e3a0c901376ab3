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
from typing import Protocol, cast

from msctl.client import ResponseReader
from msctl.core.health import ProbeKind, ProbeResult, classify
from msctl.errors import MsctlError
from msctl.runtime.reaper import Reaper

MAX_ANSWER = 64 * 1024


class Probe(Protocol):
    """Makes one check."""

    async def __call__(self, timeout: float) -> ProbeResult:
        """Ask once; an answer that takes longer than `timeout` seconds is a failure."""
        ...


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """GET on the health path; each check has a connection of its own."""

    host: str
    port: int
    path: str
    expect_status: tuple[int, ...] | None = None

    async def __call__(self, timeout: float) -> ProbeResult:
        """Ask once."""
        loop = asyncio.get_running_loop()
        transport = None
        try:
            async with asyncio.timeout(timeout):
                transport, answer = await loop.create_connection(
                    lambda: _Answer(self._request()), self.host, self.port
                )
                status, body = await answer.complete
        except TimeoutError:
            return ProbeResult(ProbeKind.FAILED, f"no answer within {timeout:g} s")
        except (OSError, MsctlError) as error:
            return ProbeResult(ProbeKind.FAILED, _describe(error))
        finally:
            if transport is not None:
                transport.abort()
        return classify(status, body, self.expect_status)

    def _request(self) -> bytes:
        return (
            f"GET {self.path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n"
            "User-Agent: msctl-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        ).encode()


class _Answer(asyncio.Protocol):
    """Reads one response: its status, and as much of the body as a verdict needs."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._reader = ResponseReader("GET")
        self._body = b""
        self.complete: asyncio.Future[tuple[int, bytes]] = (
            asyncio.get_running_loop().create_future()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all of the interface, but not the base class.
        cast("asyncio.WriteTransport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.complete.done():
            return
        try:
            self._reader.feed(data)
        except MsctlError as error:
            self.complete.set_exception(error)
            return
        self._body += self._reader.take()
        head = self._reader.head
        if head and (self._reader.complete or len(self._body) > MAX_ANSWER):
            self.complete.set_result((head.status, self._body))

    def eof_received(self) -> None:
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self.complete.done():
            self.complete.set_exception(exc)
        self.data_received(b"")
        if not self.complete.cancelled():
            self.complete.exception()  # a probe that timed out no longer asks


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connects; for services that open their port only when they are ready."""

    host: str
    port: int

    async def __call__(self, timeout: float) -> ProbeResult:
        """Connect once."""
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except TimeoutError:
            return ProbeResult(ProbeKind.FAILED, f"no connection within {timeout:g} s")
        except OSError as error:
            return ProbeResult(ProbeKind.FAILED, _describe(error))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return ProbeResult(ProbeKind.OK, f"port {self.port} accepts connections")


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Runs a command in the instance's environment; exit code 0 is healthy."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: Path
    reaper: Reaper

    async def __call__(self, timeout: float) -> ProbeResult:
        """Run it once; it is killed with all its helpers when the time is over."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        try:
            child = subprocess.Popen(  # noqa: ASYNC220  returns as soon as the program runs
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self.working_dir,
                env=self.environment,
                start_new_session=True,
            )
        except OSError as error:
            return ProbeResult(ProbeKind.FAILED, f"cannot run {self.command[0]}: {error.strerror}")
        child.returncode = 0  # the reaper collects it, not Popen
        self.reaper.watch(child.pid, _setter(ended))
        try:
            async with asyncio.timeout(timeout):
                code = await ended
        except TimeoutError:
            return ProbeResult(
                ProbeKind.FAILED, f"{self.command[0]} did not end within {timeout:g} s"
            )
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        kind = ProbeKind.OK if code == 0 else ProbeKind.FAILED
        return ProbeResult(kind, f"{self.command[0]} ended with exit code {code}")


def _setter(future: asyncio.Future[int]) -> Callable[[int], None]:
    def set_result(code: int) -> None:
        if not future.done():
            future.set_result(code)

    return set_result


def _describe(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
