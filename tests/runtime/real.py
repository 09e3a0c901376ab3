"""Real processes for tests: on the daemon's kind of loop, with nothing left at the end."""

import atexit
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from msctl.runtime import template_wire
from msctl.runtime.process import Output
from msctl.runtime.proctree import become_subreaper, descendants, read_proc
from msctl.runtime.reaper import Reaper
from msctl.runtime.spawner import ExecSpawner, Launch, Process
from msctl.runtime.template import Template
from msctl.runtime.template_keeper import TemplateKeeper
from msctl.runtime.warm_spawner import WarmSpawner

T = TypeVar("T")
PATIENCE = 20.0
_PR_SET_CHILD_SUBREAPER = 36


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, as the daemon does."""
    return uvloop.run(main)


def wait_until(condition: Callable[[], Any], what: str, *, within: float = PATIENCE) -> Any:
    """Wait for a condition to be true and return its value."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.005)
    return value


@contextmanager
def subreaper() -> Iterator[None]:
    """Adopt orphans, as the daemon does; kill what is left of them at the end."""
    import ctypes  # noqa: PLC0415  for this alone

    before = set(descendants(os.getpid()))
    become_subreaper()
    try:
        yield
    finally:
        if shared_template.cache_info().currsize:
            before.add(shared_template()[1])
        while left := set(descendants(os.getpid())) - before:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in left:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@asynccontextmanager
async def reaping() -> AsyncIterator[Reaper]:
    """A reaper that is open as long as the block lasts."""
    reaper = Reaper()
    reaper.open()
    try:
        yield reaper
    finally:
        reaper.close()


@asynccontextmanager
async def spawning() -> AsyncIterator[ExecSpawner]:
    async with reaping() as reaper:
        yield ExecSpawner(reaper)


class NoSpawner:
    """Starts nothing: what must be forked from the template is not exec'd."""

    async def spawn(self, launch: Launch, _: Output) -> Process:
        raise AssertionError(f"{launch.instance} is exec'd")


TEMPLATE_ENVIRONMENT = {"PATH": os.environ["PATH"]}


@asynccontextmanager
async def templates(*preload: str) -> AsyncIterator[TemplateKeeper]:
    """A template of its own for a test, started by exec: this process has everything loaded."""
    template = Template.execute(TEMPLATE_ENVIRONMENT)
    template.begin(preload)
    with _kept(template, *preload) as keeper:
        yield keeper


@cache
def shared_template() -> tuple[socket.socket, int]:
    """The channel and the pid of one that many tests use, one after another."""
    template = Template.execute(TEMPLATE_ENVIRONMENT)
    template.begin(())
    assert template_wire.receive(template._channel) == ({"ready": True}, [])
    atexit.register(template._channel.close)
    return template._channel, template.pid


@contextmanager
def _kept(template: Template, *preload: str) -> Iterator[TemplateKeeper]:
    keeper = TemplateKeeper(template, lambda: preload, TEMPLATE_ENVIRONMENT)
    keeper.open()
    try:
        yield keeper
    finally:
        keeper.close()


@asynccontextmanager
async def warm_spawning() -> AsyncIterator[WarmSpawner]:
    channel, pid = shared_template()
    template = Template(channel.dup(), pid)
    async with reaping() as reaper:
        with _kept(template) as keeper:
            template._hear({"ready": True})
            yield WarmSpawner(NoSpawner(), keeper, reaper)


def launch(
    *command: str,
    directory: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
    instance: str = "api-1",
) -> Launch:
    base = {"PATH": os.environ["PATH"], "MSCTL_INSTANCE": instance}
    return Launch(
        instance=instance,
        program=command,
        environment=base | dict(environment or {}),
        working_dir=directory,
    )


def python(code: str, **keys: Any) -> Launch:
    """A Python program: isolated and without site, so that it starts in a few milliseconds."""
    return launch(sys.executable, "-I", "-S", "-c", code, **keys)


def is_alive(pid: int) -> bool:
    try:
        stat = read_proc(pid, "stat")
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :].split()[0] != b"Z"


class Heard:
    """Takes a process's output and keeps it."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, bytes]] = []

    def __call__(self, stream: str, data: bytes) -> None:
        self.pieces.append((stream, data))

    def text(self, stream: str = "stdout") -> bytes:
        return b"".join(data for name, data in self.pieces if name == stream)
