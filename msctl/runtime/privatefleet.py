"""A fleet that belongs to one program: private state, and an end with the program's end."""

import atexit
import os
import shutil
import site
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from msctl.client import ControlClient, Exchange
from msctl.config.models import ServiceConfig
from msctl.errors import (
    ConfigError,
    Failure,
    FleetError,
    MsctlError,
    NoDaemon,
    Problem,
    TimeLimitExpired,
)
from msctl.runtime.launcher import DaemonSpec, ensure_daemon
from msctl.runtime.statedir import StateDir

_PATIENCE = 30.0
"""Seconds for a daemon that has stopped everything to be gone."""
_RETRY = 0.02
_STATUS_TIMEOUT = 5.0
_EXIT_TIME_LIMIT = 124


class PrivateFleet:
    """The private daemon of one program, from its start to its end; all methods block.

    The daemon ends when its connection to this program drops, by whatever means the
    program dies, and nothing of the fleet is left but the services' data.
    """

    def __init__(self, project_dir: Path) -> None:
        StateDir.for_project(project_dir).create()
        self._root = Path(tempfile.mkdtemp(prefix="msctl-"))
        self._config = self._root / "msctl.yaml"
        self._spec = DaemonSpec(
            project_dir=project_dir,
            files=(self._config,),
            state_dir=self._root / "state",
            data_dir=StateDir.for_project(project_dir).data_root,
        )
        self._state = self._spec.state()
        self._client = ControlClient(self._state.socket)
        self._attachment: Exchange | None = None
        self._abandoned = False
        atexit.register(self.close)

    def up(self, services: Iterable[ServiceConfig], timeout: float | None) -> None:
        """Have these services running and healthy, within `timeout` seconds.

        Raises ConfigError, FleetError with the reasons, or TimeLimitExpired; what this call
        started has been stopped then.
        """
        documents = [document(service) for service in services]
        self._config.write_text(yaml.safe_dump({"services": documents}))
        environment = environment_for_imports(os.environ, sys.path)
        ensure_daemon(self._spec, environment)
        if self._attachment is None:
            attachment = self._client.open("GET", "/attach")
            attachment.read_head()
            self._attachment = attachment
        if self._abandoned:
            raise MsctlError("the start was abandoned")
        _check(self._run("/up", {"environment": environment, "timeout": timeout}))

    def status(self) -> dict[str, Any] | None:
        """Return the status document; None when no daemon answers."""
        try:
            return self._client.fetch("GET", "/status", timeout=_STATUS_TIMEOUT)
        except MsctlError:
            return None

    def abandon(self) -> None:
        """End the fleet, whatever another thread is waiting for; `close` is still due."""
        self._abandoned = True
        if self._attachment is not None:
            self._attachment.close()

    def close(self) -> None:
        """Stop everything in order and leave nothing behind but the services' data."""
        atexit.unregister(self.close)
        with suppress(MsctlError):  # it may have ended already, or be about to
            self._run("/stop", {})
        if self._attachment is not None:
            self._attachment.close()
        deadline = time.monotonic() + _PATIENCE
        while self._state.is_locked() and time.monotonic() < deadline:
            time.sleep(_RETRY)
        shutil.rmtree(self._root, ignore_errors=True)

    def _run(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a command and return its result."""
        for message in self._client.stream("POST", path, body):
            if message["type"] == "result":
                return message
        raise NoDaemon


def document(service: ServiceConfig) -> dict[str, Any]:
    """Return a service as a configuration file has it: only what differs from the defaults.

    Its texts are final; what looks like `${VAR}` in them must not be replaced. Commands are
    the exception: they are expanded when an instance is spawned (contract.md, Config).
    """
    fields = service.model_dump(mode="json", exclude_defaults=True, exclude={"file_environment"})
    switched_off = {key: "off" for key in ("breaker", "retries") if getattr(service, key) is None}
    literal: dict[str, Any] = _literal(fields | switched_off)
    return literal


def _literal(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {k: item if k == "command" else _literal(item) for k, item in value.items()}
    return value


def environment_for_imports(environ: Mapping[str, str], path: Iterable[str]) -> dict[str, str]:
    """Return the environment with which other processes can import what this program can.

    The interpreter's own directories are left out: a service may use another interpreter.
    """
    known = {os.path.realpath(directory) for directory in site.getsitepackages()}
    library = os.path.realpath(sysconfig.get_path("stdlib"))
    known |= {library, os.path.join(library, "lib-dynload")}  # noqa: PTH118  compared as text
    mine = [os.path.abspath(directory) for directory in path]  # noqa: PTH100  "" is the cwd
    found = [
        entry for entry in mine if Path(entry).is_dir() and os.path.realpath(entry) not in known
    ]
    return {**environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(found))}


def _check(result: Mapping[str, Any]) -> None:
    """Raise what the result of a command stands for, if it is not success."""
    message, exit_code = result["message"], result["exit_code"]
    if exit_code == 0:
        return
    if problems := result["problems"]:
        raise ConfigError(
            [Problem(Path(p["file"]), p["line"], p["where"], p["message"]) for p in problems]
        )
    if exit_code == _EXIT_TIME_LIMIT:
        raise TimeLimitExpired(message)
    raise FleetError(
        [
            Failure(f["service"], f["instance"], f["reason"], tuple(f["logs"]))
            for f in result["failures"]
        ],
        message,
    )
