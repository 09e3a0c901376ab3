"""A project of its own for each test: a directory, an environment, and nothing left at the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from msctl.runtime.proctree import read_proc

MSCTL = Path(sys.executable).with_name("msctl")
MARK = "MSCTL_TEST_MARK"
PATIENCE = 30.0
START = os.environ.get("MSCTL_TEST_START")
"""How the instances of all projects are started: `exec`, or as msctl chooses (CONTRIBUTING.md)."""

HELLO = '''
"""An ASGI application that imports nothing: it answers what it is asked, at once."""
import json, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status = int(scope["path"].rpartition("/")[2]) if "/status/" in scope["path"] else 200
    answer = {"service": os.environ["MSCTL_SERVICE"], "instance": os.environ["MSCTL_INSTANCE"],
              "pid": os.getpid(), "method": scope["method"], "path": scope["path"],
              "body": body.decode(), "query": scope["query_string"].decode()}
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
'''


def free_port() -> int:
    """A port that the system says is free; nothing else takes it in the moment between."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(condition: Callable[[], Any], what: str, *, within: float = PATIENCE) -> Any:
    """Wait for a condition to be true and return its value."""
    deadline = time.monotonic() + within
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.01)


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Project:
    """A project directory and the commands that are run in it."""

    directory: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    environ: dict[str, str] = field(default_factory=dict)
    config_file: str = "msctl.yaml"

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def config(self, services: Mapping[str, Mapping[str, Any]], **top: Any) -> None:
        """Write the configuration; services get the hello application unless they say more."""
        self.write("hello.py", HELLO)
        document: dict[str, Any] = {"services": {}, **top}
        for name, keys in services.items():
            document["services"][name] = (
                dict(keys) if {"app", "command"} & keys.keys() else {"app": "hello:app", **keys}
            )
        if START:
            document["defaults"] = {"start": START} | document.get("defaults", {})
        self.write(self.config_file, yaml.safe_dump(document, sort_keys=False))

    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MSCTL", "COV_"))}
        return inherited | {MARK: self.mark} | self.environ

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        defaults: dict[str, Any] = {
            "cwd": self.directory,
            "env": self.environment(),
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen([str(MSCTL), *arguments], **(defaults | options))

    def run(self, *arguments: str, timeout: float = 60, **options: Any) -> Result:
        stdin = options.pop("input", None)
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
        with self.popen(*arguments, **options) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return Result(process.returncode, out, err)

    def ok(self, *arguments: str, **options: Any) -> Result:
        result = self.run(*arguments, **options)
        assert result.code == 0, f"{arguments}: exit {result.code}\n{result.out}\n{result.err}"
        return result

    def status(self, *names: str) -> dict[str, Any]:
        document: dict[str, Any] = self.ok("status", "--json", *names).json()
        return document

    def service(self, name: str) -> dict[str, Any]:
        return next(s for s in self.status()["services"] if s["name"] == name)

    def instance(self, name: str, number: int = 1) -> dict[str, Any]:
        return next(i for i in self.service(name)["instances"] if i["id"] == f"{name}-{number}")

    def daemon_pid(self) -> int:
        pid: int = json.loads((self.directory / ".msctl/run.json").read_text())["pid"]
        return pid

    def guardian_pid(self) -> int:
        return parent_of(self.daemon_pid())

    def processes(self) -> dict[int, str]:
        """All living processes that came from this project's commands, with their commands."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environ = read_proc(entry.name, "environ")
                if f"{MARK}={self.mark}".encode() in environ.split(b"\0"):
                    command = read_proc(entry.name, "cmdline").replace(b"\0", b" ").decode()
                    found[int(entry.name)] = command
        return found

    def assert_nothing_left(self, ports: list[int] | None = None) -> None:
        """No process, no listening port, no socket file, no run file."""
        eventually(lambda: not self.processes(), f"no process left of {self.processes()}")
        for port in ports or []:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)), f"port {port} still listens"
        assert not (self.directory / ".msctl/control.sock").exists()
        assert not (self.directory / ".msctl/run.json").exists()

    def clean_up(self) -> None:
        """Kill whatever a failed test has left."""
        while left := self.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
