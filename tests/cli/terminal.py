"""Runs `msctl` as a process: with pipes, or on a terminal of a given size."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0  # seconds; only a failing test waits that long
MSCTL = (sys.executable, "-m", "msctl")


def environment(**changes: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MSCTL_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        inherited.pop(name, None)
    return {**inherited, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **changes}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def msctl(
    cwd: Path,
    *arguments: str,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    process = subprocess.Popen(
        [*MSCTL, *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = process.communicate(stdin, DEADLINE)
    finally:
        process.kill()
        process.communicate()
    return Finished(process.returncode, out.decode(), err.decode())


class Running:
    """A command under way; leave the block and it is gone."""

    def __init__(self, cwd: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*MSCTL, *arguments],
            cwd=cwd,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def read_until(self, text: str) -> str:
        """Read stdout until it contains the text."""
        return self._read_until(self.process.stdout, text)

    def read_error_until(self, text: str) -> str:
        """Read stderr until it contains the text."""
        return self._read_until(self.process.stderr, text)

    def close_stdout(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stdout = None

    def code(self) -> int:
        return self.process.wait(DEADLINE)

    def _read_until(self, stream: object, text: str) -> str:
        assert hasattr(stream, "fileno")
        seen, end = "", time.monotonic() + DEADLINE
        while text not in seen:
            left = end - time.monotonic()
            readable, _, _ = select.select([stream], [], [], max(0.0, left))
            piece = os.read(stream.fileno(), 65536) if readable else b""
            assert piece, f"{text!r} never came, only {seen!r}"
            seen += piece.decode()
        return seen


def on_terminal(
    cwd: Path,
    arguments: Sequence[str],
    *,
    columns: int = 100,
    lines: int = 30,
    env: Mapping[str, str] | None = None,
    stdout_only: bool = False,
    program: Sequence[str] = MSCTL,
) -> Finished:
    """Run it with stdout and stderr on one terminal; `stdout_only` leaves stderr a pipe."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [*program, *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.PIPE if stdout_only else slave,
    )
    os.close(slave)
    try:
        seen = _drain(master)
        err = process.stderr.read() if process.stderr else b""
        code = process.wait(DEADLINE)
    finally:
        process.kill()
        process.communicate()
        os.close(master)
    return Finished(code, seen.decode().replace("\r\n", "\n"), err.decode())


def _drain(master: int) -> bytes:
    seen, end = b"", time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if not select.select([master], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux's end-of-file of a terminal
            return seen
        if not piece:
            return seen
        seen += piece
    raise AssertionError(f"the command did not end; it wrote {seen!r}")
