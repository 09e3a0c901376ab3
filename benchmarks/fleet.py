"""A fleet of the real msctl in a directory of its own, for a benchmark."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MSCTL = Path(sys.executable).with_name("msctl")
SERVICE = "bench"

APP = '''
"""An ASGI application that is asked to behave in all the ways that the benchmarks need."""
import asyncio, json, os, time

CHUNK = bytes(64 * 1024)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await ACTIONS.get(scope["path"].split("/")[1], echo)(scope, receive, send)


async def echo(scope, receive, send):
    answer = {"path": scope["path"], "instance": os.environ["MSCTL_INSTANCE"]}
    await reply(send, json.dumps(answer).encode())


async def hang(scope, receive, send):
    """Answer, and then block the event loop for so many seconds."""
    await reply(send, b"{}")
    time.sleep(float(scope["path"].split("/")[2]))


async def download(scope, receive, send):
    """Send so many bytes as fast as they are taken."""
    size = int(scope["path"].split("/")[2])
    head = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for at in range(0, size, len(CHUNK)):
        body = CHUNK[: size - at]
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def upload(scope, receive, send):
    """Take the body, the first part of it at so many bytes per second."""
    rate, slow = (int(part) for part in scope["path"].split("/")[2:4])
    size, more = 0, True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        size += len(message.get("body", b""))
        if size < slow:
            await asyncio.sleep(len(message.get("body", b"")) / rate)
    await reply(send, json.dumps({"size": size}).encode())


async def reply(send, body):
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


ACTIONS = {"hang": hang, "download": download, "upload": upload}
'''


class Fleet:
    """Commands in a project's directory, and the daemon that they talk to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def msctl(self, *arguments: str) -> str:
        """Run one command; RuntimeError with what it said when it fails."""
        done = subprocess.run(
            (str(MSCTL), *arguments),
            cwd=self.directory,
            env={key: value for key, value in os.environ.items() if not key.startswith("MSCTL")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"msctl {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}"
            )
        return done.stdout

    @property
    def daemon(self) -> int:
        """The daemon's process id."""
        pid: int = json.loads((self.directory / ".msctl/run.json").read_text())["pid"]
        return pid

    def instances(self, service: str = SERVICE) -> list[dict[str, Any]]:
        """Return the instances of a service as `status --json` shows them."""
        document = json.loads(self.msctl("status", "--json", service))
        found: list[dict[str, Any]] = document["services"][0]["instances"]
        return found


@contextmanager
def running(
    directory: Path, services: Mapping[str, Mapping[str, Any]], *, up: tuple[str, ...] = ()
) -> Iterator[Fleet]:
    """Write a project, start it (all of it, or the services named), and stop it in the end."""
    (directory / "bench_app.py").write_text(APP)
    (directory / "msctl.yaml").write_text(json.dumps({"services": services}))  # YAML too
    fleet = Fleet(directory)
    try:
        fleet.msctl("up", *up)
        yield fleet
    finally:
        fleet.msctl("stop", "--timeout", "5")
