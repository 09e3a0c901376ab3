"""The process managers that are compared: the same services, started and ended by each.

honcho and supervisor know no dependencies and no health, and pm2 no dependencies: they start
everything at once and leave it to whoever asks whether it answers.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fleet import Fleet
from processes import Program, family

PATIENCE = 60.0
_POLL = 0.02
"""Seconds between two looks at who answers; what it costs slows down what is measured."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class Service:
    """One ASGI application under uvicorn, answering on /health."""

    name: str
    app: str
    port: int
    directory: Path
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """What msctl would have injected, for those who inject nothing."""

    @property
    def command(self) -> tuple[str, ...]:
        flags = ("--port", str(self.port), "--log-level", "error")
        return (sys.executable, "-m", "uvicorn", self.app, *flags)


class Manager(Protocol):
    """A process manager; `end` leaves nothing of what it started."""

    name: str
    source: str

    def begin(self, directory: Path, services: Sequence[Service]) -> None:
        """Start all services and return as soon as its command does."""
        ...

    def instances(self) -> list[int]:
        """Return the processes that serve."""
        ...

    def end(self) -> None: ...


class Msctl:
    """This project, with warm starts or without."""

    source = "this project"

    def __init__(self, name: str, start: str) -> None:
        self.name = name
        self._start = start

    def begin(self, directory: Path, services: Sequence[Service]) -> None:
        listed = {
            one.name: {
                "app": one.app,
                "port": one.port,
                "working_dir": str(one.directory),
                "dependencies": list(one.needs),
            }
            for one in services
        }
        config = {"defaults": {"start": self._start}, "services": listed}
        (directory / "msctl.yaml").write_text(json.dumps(config))  # YAML too
        self._fleet = Fleet(directory)
        self._fleet.msctl("up")

    def instances(self) -> list[int]:
        document = json.loads(self._fleet.msctl("status", "--json"))
        return [one["pid"] for service in document["services"] for one in service["instances"]]

    def end(self) -> None:
        self._fleet.msctl("stop")


class Foreground:
    """A manager that runs as long as its services do."""

    def __init__(
        self,
        name: str,
        program: str,
        setup: Callable[[str, Path, Sequence[Service]], Sequence[str]],
    ) -> None:
        self.name = name
        self.source = f"pip install {name}"
        self._path = program
        self._setup = setup

    def begin(self, directory: Path, services: Sequence[Service]) -> None:
        self._program = Program(self._setup(self._path, directory, services), directory=directory)

    def instances(self) -> list[int]:
        return _serving(self._program.pid)

    def end(self) -> None:
        started = family(self._program.pid)
        self._program.stop()
        _kill(started)


class Pm2:
    """A manager with a daemon of its own, in a home of its own."""

    name = "pm2"
    source = "npm install --prefix DIR pm2"

    def __init__(self, program: str) -> None:
        self._path = program

    def begin(self, directory: Path, services: Sequence[Service]) -> None:
        self._home = directory / "pm2"
        file = directory / "ecosystem.config.json"
        file.write_text(json.dumps({"apps": [self._app(one) for one in services]}))
        self._run("start", str(file))

    def instances(self) -> list[int]:
        return _serving(int((self._home / "pm2.pid").read_text()))

    def end(self) -> None:
        pid = self._home / "pm2.pid"
        if not pid.exists():
            return  # it never came up
        started = family(int(pid.read_text()))
        self._run("kill")
        _kill(started)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PM2_HOME": str(self._home), "PM2_DISCRETE_MODE": "true"}

    def _app(self, one: Service) -> dict[str, object]:
        program, *arguments = one.command
        return {
            "name": one.name,
            "script": program,
            "args": arguments,
            "interpreter": "none",
            "cwd": str(one.directory),
            "env": dict(one.environment),
        }

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            (self._path, *arguments),
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def honcho_setup(program: str, directory: Path, services: Sequence[Service]) -> Sequence[str]:
    lines = []
    for one in services:
        settings = [f"{key}={value}" for key, value in one.environment.items()]
        words = shlex.join(["env", "-C", str(one.directory), *settings, *one.command])
        lines.append(f"{one.name}: exec {words}\n")
    (directory / "Procfile").write_text("".join(lines))
    return (program, "start", "-f", str(directory / "Procfile"))


def supervisor_setup(program: str, directory: Path, services: Sequence[Service]) -> Sequence[str]:
    socket_path = directory / "supervisor.sock"
    text = f"""
[supervisord]
nodaemon=true
logfile={directory}/supervisord.log
pidfile={directory}/supervisord.pid
childlogdir={directory}
[unix_http_server]
file={socket_path}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{socket_path}
"""
    for one in services:
        settings = ",".join(f'{key}="{value}"' for key, value in one.environment.items())
        text += f"""
[program:{one.name}]
command={shlex.join(one.command)}
directory={one.directory}
environment={settings}
"""
    (directory / "supervisord.conf").write_text(text)
    return (program, "-c", str(directory / "supervisord.conf"))


def find(program: str, peers: Path | None) -> str | None:
    """Look for a program in a directory with peers (a venv, a prefix of npm), then on PATH."""
    places = [peers / "bin", peers / "node_modules/.bin"] if peers else []
    for place in (*places, Path(sys.executable).parent):
        if (place / program).exists():
            return str(place / program)
    return shutil.which(program)


def managers(peers: Path | None) -> list[Manager]:
    """Return those that are installed, msctl first; say which are not."""
    found: list[Manager] = [Msctl("msctl warm", "auto"), Msctl("msctl exec", "exec")]
    if program := find("honcho", peers):
        found.append(Foreground("honcho", program, honcho_setup))
    if program := find("supervisord", peers):
        found.append(Foreground("supervisor", program, supervisor_setup))
    if program := find("pm2", peers):
        found.append(Pm2(program))
    there = {one.name for one in found}
    for name in {"honcho", "supervisor", "pm2"} - there:
        print(f"{name} is not installed and left out", file=sys.stderr)
    return found


def lasting_ports(count: int) -> list[int]:
    """Return free ports that the system gives to nobody for a connection of his meanwhile."""
    lowest = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    found: list[int] = []
    for port in range(lowest - 1, 1024, -1):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} ports are free below {lowest}")


def until_all_answer(ports: Sequence[int]) -> None:
    """Return once every port has answered /health with 200; RuntimeError if one never does."""
    waiting, deadline = list(ports), time.monotonic() + PATIENCE
    while waiting:
        waiting = [port for port in waiting if not answers(port)]
        if waiting and time.monotonic() > deadline:
            raise RuntimeError(f"no answer on {waiting}")
        if waiting:
            time.sleep(_POLL)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b" 200 " in one.recv(4096).partition(b"\r\n")[0]
    return False


def _serving(manager: int) -> list[int]:
    """Return the processes below a manager that run uvicorn; honcho has one more for each."""
    return [pid for pid in family(manager)[1:] if b"uvicorn" in _command_of(pid)]


def _command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _kill(pids: Sequence[int]) -> None:
    """End what its manager has left behind, if anything."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
