"""ASGI applications for tests of how instances are started."""

import socket
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from msctl.runtime.spawner import AsgiProgram, Launch, Spawner
from tests.runtime import real

ANSWERS = """
import json, os
facts = {}
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), **facts}).encode()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
"""
"""An application that answers with `facts`, which what is put behind it may fill."""


def listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def launch(
    directory: Path,
    app: str = "application:app",
    environment: Mapping[str, str] | None = None,
    instance: str = "api-1",
) -> Launch:
    """A launch that may be warm; its listening socket is the caller's to close."""
    program = AsgiProgram(
        app=app, factory=False, access_log=False, health_path="/health", warm=True
    )
    injected = {"PYTHONUNBUFFERED": "1", **(environment or {})}
    base = real.launch("-", directory=directory, environment=injected, instance=instance)
    return replace(base, program=program, listener=listening())


def written(directory: Path, text: str, **keys: Any) -> Launch:
    """Write the application's file, and return its launch."""
    (directory / "application.py").write_text(textwrap.dedent(text))
    return launch(directory, **keys)


async def run_out(spawner: Spawner, wanted: Launch) -> tuple[int, real.Heard]:
    """Run one that ends by itself; return its exit code and its output."""
    heard = real.Heard()
    assert wanted.listener is not None
    with wanted.listener:
        process = await spawner.spawn(wanted, heard)
    try:
        code = await process.exited()
    finally:
        await process.clear(10)
    return code, heard
