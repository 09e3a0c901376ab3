"""How an instance comes to life: the interface, and starting it with exec.

Nothing above this file assumes that an instance is a local process; a template that forks
warm instances, or an engine that runs them elsewhere, is one more Spawner.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msctl.errors import MsctlError
from msctl.runtime.process import LocalProcess, Output
from msctl.runtime.reaper import Reaper
from msctl.runtime.streams import Streams

ASGI_RUNNER = Path(__file__).with_name("asgi.py")
_BEGINNING = 256
"""Bytes of a file that tell a program from text: every executable format has a NUL in them."""


class SpawnError(MsctlError):
    """The program could not be started at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiProgram:
    """An ASGI application, run by uvicorn on a socket that is handed down."""

    app: str
    factory: bool
    access_log: bool
    health_path: str
    python: str | None = None
    """Another interpreter; None is the daemon's own."""
    imports: Path | None = None
    """Where it writes which files it has imported."""
    warm: bool = False
    """Whether it may be forked from the template; else it is exec'd (contract.md, `start`)."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What asgi.py is told, behind the socket's descriptor."""
        flags = [flag for flag in ("factory", "access_log") if getattr(self, flag)]
        if self.imports is not None:
            flags.append(f"imports={self.imports}")
        return (self.app, self.health_path, *flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that it takes to start one instance."""

    instance: str
    program: AsgiProgram | tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: Path
    listener: socket.socket | None = None
    """A listening socket for an AsgiProgram; the caller closes its copy after the spawn."""


class Process(Protocol):
    """A living instance, as its supervisor sees it."""

    @property
    def pid(self) -> int | None:
        """The process id, where there is one on this machine."""
        ...

    async def exited(self) -> int:
        """Wait for the end of its main process; return the exit code, minus a signal's number."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal to the instance and all its helpers; nothing when they are gone."""
        ...

    async def clear(self, grace: float) -> None:
        """Return when nothing of it is left; what is still there after `grace` s is killed."""
        ...


class Spawner(Protocol):
    """Starts instances."""

    async def spawn(self, launch: Launch, output: Output) -> Process:
        """Start one; `output` gets its stdout and stderr as they come. Raises SpawnError."""
        ...


class ExecSpawner:
    """Starts every instance as a program of its own, in its own session and process group."""

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper
        # The kernel kills the instance should daemon and guardian both be killed at once.
        setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
        self._tether = (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()

    async def spawn(self, launch: Launch, output: Output) -> LocalProcess:
        """Start the instance and return at once; it has not run a line of its own yet."""
        command = _argv(launch)
        check_working_dir(launch)
        _check_program(command[0], launch)
        streams = Streams()
        stdout, stderr = streams.write_ends
        try:
            child = subprocess.Popen(  # noqa: ASYNC220  returns as soon as the program runs
                [*self._tether, *command],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=launch.working_dir,
                env=launch.environment,
                pass_fds=(launch.listener.fileno(),) if launch.listener else (),
                start_new_session=True,
            )
        except OSError as error:
            streams.close()
            raise SpawnError(f"cannot start {command[0]}: {error.strerror}") from error
        streams.handed_over()
        child.returncode = 0  # the reaper collects it, not Popen
        process = LocalProcess(child.pid, launch.instance)
        self._reaper.watch(child.pid, process.set_exit_code)
        streams.pump(process, output)
        return process


def check_working_dir(launch: Launch) -> None:
    """Raise a SpawnError when there is no such directory."""
    if not launch.working_dir.is_dir():
        raise SpawnError(f"working_dir {launch.working_dir} is not a directory")


def _argv(launch: Launch) -> tuple[str, ...]:
    program = launch.program
    if not isinstance(program, AsgiProgram):
        return program
    assert launch.listener is not None, "an ASGI program is handed its listening socket"
    descriptor = str(launch.listener.fileno())
    return (program.python or sys.executable, str(ASGI_RUNNER), descriptor, *program.arguments)


def _check_program(name: str, launch: Launch) -> None:
    """Raise a SpawnError that says why `name` cannot be executed."""
    path = launch.working_dir / name
    if "/" not in name:
        found = shutil.which(name, path=launch.environment.get("PATH", os.defpath))
        if found is None:
            raise SpawnError(f"command not found on PATH: {name}")
        path = Path(found)
    if not path.exists():
        raise SpawnError(f"command not found: {path}")
    if path.is_dir() or not os.access(path, os.X_OK):
        raise SpawnError(f"not executable: {path}")
    if _is_bare_script(path):
        raise SpawnError(f"cannot start {path}: neither a program nor a script that begins with #!")


def _is_bare_script(path: Path) -> bool:
    """Whether execvp, which setpriv uses, would give it to a shell (contract.md: never)."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return False
    return not beginning.startswith(b"#!") and b"\0" not in beginning
