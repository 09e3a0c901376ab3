"""Starts the daemon of a project and learns whether it is up, or why not."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from msctl.client import BrokenResponse, ControlClient
from msctl.errors import ConfigError, MsctlError, NoDaemon, Problem
from msctl.runtime.statedir import StateDir

PATIENCE = 30.0
"""Seconds to wait for another daemon that is just starting or ending."""
INTERPRETER_FLAGS = ("-P", "-u")
"""No import from the project's directory, whatever lies there; and streams without a buffer,
as PYTHONUNBUFFERED gives them to instances: those that are forked inherit both."""
_RETRY = 0.02
_UNAVAILABLE = 503
"""It is there, but ending (see ControlApi.ping)."""
_LOCKED = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSpec:
    """Which fleet a daemon is to run."""

    project_dir: Path
    files: tuple[Path, ...]
    state_dir: Path
    data_dir: Path | None = None
    project: str | None = None
    """Its name, where that is not the configuration's."""
    isolated: bool = False
    """Whether its ports are drawn by the system (see `msctl.config.isolation`)."""
    temporary: bool = False
    """Whether the state directory is removed when the daemon has ended."""

    def state(self) -> StateDir:
        """Return the directory that it keeps its state in."""
        return StateDir(self.state_dir, self.data_dir, temporary=self.temporary)

    def to_json(self) -> str:
        """Write it down for the daemon's process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        data_dir = fields["data_dir"]
        return cls(
            project_dir=Path(fields["project_dir"]),
            files=tuple(map(Path, fields["files"])),
            state_dir=Path(fields["state_dir"]),
            data_dir=Path(data_dir) if data_dir else None,
            project=fields["project"],
            isolated=fields["isolated"],
            temporary=fields["temporary"],
        )


def ensure_daemon(spec: DaemonSpec, environ: Mapping[str, str]) -> bool:
    """Have a daemon for this fleet; True when this call started it.

    Of two calls at once one starts it and the other finds it. Raises ConfigError for a bad
    configuration, MsctlError when the daemon cannot run.
    """
    state = spec.state()
    deadline = time.monotonic() + PATIENCE
    while not is_running(state):
        if start_daemon(spec, environ):
            return True
        _wait_for_the_other(state, deadline)
    return False


def start_daemon(spec: DaemonSpec, environ: Mapping[str, str]) -> bool:
    """Start the daemon of this fleet; False when another one has its lock, or had it just now.

    Raises ConfigError for a bad configuration, MsctlError when the daemon cannot run.
    """
    if sys.platform == "win32":
        raise MsctlError("msctl does not run on Windows; use it inside WSL")
    report = _launch(spec, spec.state(), environ)
    if report.get("error") == _LOCKED:
        return False
    if "error" in report:
        _raise(report)
    return True


def _wait_for_the_other(state: StateDir, deadline: float) -> None:
    """Return when the daemon that holds the lock answers, or has gone."""
    while state.is_locked() and not is_running(state):
        if time.monotonic() > deadline:
            raise MsctlError(
                f"another msctl has been starting or ending this fleet for {PATIENCE:g} s; "
                f"see {state.daemon_log}"
            )
        time.sleep(_RETRY)


def is_running(state: StateDir) -> bool:
    """Whether a daemon answers on the control socket, and is not just ending."""
    try:
        status, _ = ControlClient(state.socket).request("GET", "/ping", timeout=PATIENCE)
    except NoDaemon:
        return False
    except BrokenResponse as error:
        if isinstance(error.__cause__, TimeoutError):
            raise MsctlError("the daemon of this fleet does not answer; is it stopped?") from None
        return False  # it went away while it was asked
    return status < _UNAVAILABLE


def receive_spec(channel: int) -> DaemonSpec:
    """Read what the launcher wants; the daemon's process calls this once."""
    with socket.socket(fileno=os.dup(channel)) as connection:
        return DaemonSpec.from_json(_read_all(connection).decode())


def report_ready(channel: int) -> None:
    """Tell the launcher that the daemon is up; the daemon calls this once.

    A launcher that has gone meanwhile makes no difference here: a daemon that is asked for
    nothing ends by itself.
    """
    _report(channel, {"ready": True})


def report_failure(channel: int, error: Exception | None) -> None:
    """Tell the launcher why there is no daemon; None: another one has the lock."""
    if isinstance(error, ConfigError):
        problems = [asdict(problem) for problem in error.problems]
        _report(channel, {"error": str(error), "problems": problems})
    else:
        _report(channel, {"error": _LOCKED if error is None else str(error)})


def _report(channel: int, report: dict[str, Any]) -> None:
    with suppress(OSError), socket.socket(fileno=channel) as connection:
        connection.sendall(json.dumps(report, default=str).encode())


def _launch(spec: DaemonSpec, state: StateDir, environ: Mapping[str, str]) -> dict[str, Any]:
    """Start guardian and daemon; return what they report."""
    state.create()
    ours, theirs = socket.socketpair()
    with ours, theirs, state.daemon_log.open("a+b") as log:
        log_start = log.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            [
                sys.executable,
                *INTERPRETER_FLAGS,
                "-m",
                "msctl",
                "_daemon",
                str(theirs.fileno()),
                str(spec.project_dir),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=spec.project_dir,
            env=dict(environ),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        ours.sendall(spec.to_json().encode())
        ours.shutdown(socket.SHUT_WR)
        report = _read_all(ours)
        child.wait()  # only the first of its processes, which has left the rest to themselves
        if report:
            answer: dict[str, Any] = json.loads(report)
            return answer
        log.seek(log_start)  # not by its name, which may be gone
        said = log.read().decode(errors="replace").strip()
    return {
        "error": f"the daemon could not start:\n{said}" if said else "the daemon could not start"
    }


def _read_all(connection: socket.socket) -> bytes:
    """Read until the other side has closed."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def _raise(report: dict[str, Any]) -> None:
    if "problems" in report:
        raise ConfigError(
            [
                Problem(Path(p["file"]), p["line"], p["where"], p["message"])
                for p in report["problems"]
            ]
        )
    raise MsctlError(report["error"])
