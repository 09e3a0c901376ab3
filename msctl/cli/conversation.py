"""A command and the daemon's console: one tells what is asked for, the other what to show."""

import os
import sys

from msctl.cli import streams
from msctl.cli.interrupts import SIGTERM, SIGWINCH, Interrupts
from msctl.client import frames
from msctl.client.connection import connect
from msctl.client.response import BrokenResponse
from msctl.errors import MsctlError
from msctl.exitcodes import ExitCode

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from msctl.cli.streams import HasFileno

_PIECE = 1 << 16
_TICK = 0.1  # seconds
_HEAD_END = b"\r\n\r\n"
_WELCOME = b"HTTP/1.1 101 "
_SILENT = "the daemon gives no answer; is it stopped? .msctl/run.json has its pid"
_BROKEN = "the daemon went away before it had finished"
_OTHER = "the daemon of this fleet is of another version; stop it with the msctl that started it"

Fields = list[tuple[str, str]]
"""Names and values; a name may come again."""


class Left(Exception):
    """The user did not wait for the end; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__()


class Conversation:
    """One command on its way to its exit code.

    `patience` in seconds is for every answer of the daemon; None waits for as long as it takes.
    All that wait for the end raise MsctlError when the daemon does not get there.
    """

    afterwards = b""
    """What is to be said on stderr once the daemon is gone."""

    def __init__(
        self, socket_path: str, patience: float | None = None, *, needs_stdout: bool = True
    ) -> None:
        self._connection = connect(socket_path, patience)
        self._needs_stdout = needs_stdout
        """Whether it is over when nobody reads what it writes."""
        self._reader = frames.FrameReader()
        self._head: bytes | None = b""
        self._undo = {frames.UNDO_STDOUT: b"", frames.UNDO_STDERR: b""}
        self._code: int | None = None

    def ask(self, command: str, fields: Fields) -> None:
        """Say what is wanted."""
        request = frames.encode(command, [*_facts(), *fields])
        self._send(frames.GREETING + frames.frame(frames.COMMAND, request))

    def listen(self) -> int:
        """Show what comes; return the exit code. An interrupt ends this at once."""
        return self._to_end(self._receive)

    def watch(self) -> int:
        """Do the same, and end at once when nobody reads stdout any more."""

        def step() -> None:
            if streams.wait([self._connection], watch_stdout=True):
                self._receive()

        return self._to_end(step)

    def see_through(
        self,
        on_tick: "Callable[[], None] | None" = None,
        *,
        leave: bool = True,
        watch_stdout: bool = False,
    ) -> int:
        """Do the same for what has to be ended in order.

        Ctrl-C and SIGTERM are passed on; the second one raises Left, unless with `leave`
        false. `on_tick` is called ten times a second.
        """
        signals = 0
        with Interrupts(*Interrupts.ENDING, SIGWINCH) as interrupts:

            def step() -> None:
                nonlocal signals
                sources: list[HasFileno] = [self._connection, interrupts]
                seconds = _TICK if on_tick else None
                ready = streams.wait(sources, seconds, watch_stdout=watch_stdout)
                for number in interrupts.take():
                    if number == SIGWINCH:
                        self._send(frames.frame(frames.SIZE, _size(sys.stderr).encode()))
                        continue
                    signals += 1
                    if leave and signals > 1:
                        terminated = number == SIGTERM
                        raise Left(ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED)
                    self._send(frames.frame(frames.SIGNAL, b"%d" % number))
                if self._connection in ready:
                    self._receive()
                if on_tick:
                    on_tick()

            return self._to_end(step)

    def _to_end(self, step: "Callable[[], None]") -> int:
        try:
            while self._code is None:
                step()
        except BaseException:
            streams.say_utf8(self._undo[frames.UNDO_STDERR])
            if undo := self._undo[frames.UNDO_STDOUT]:
                streams.write_utf8(undo)
            raise
        finally:
            self._connection.close()
        return self._code

    def _receive(self) -> None:
        """Read once from the connection and show what has come."""
        try:
            data = self._connection.recv(_PIECE)
        except TimeoutError:
            raise BrokenResponse(_SILENT) from None
        except ConnectionError:
            data = b""
        if not data:
            raise BrokenResponse(_BROKEN)
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(_HEAD_END)
            if not end:
                return
            if not head.startswith(_WELCOME):
                raise MsctlError(_OTHER)
            self._head = None
        for kind, payload in self._reader.feed(data):
            self._take(kind, payload)

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == frames.STDOUT:
            self._write(payload)
        elif kind == frames.STDERR:
            streams.say_utf8(payload)
        elif kind in self._undo:
            self._undo[kind] = payload
        elif kind == frames.AFTERWARDS:
            self.afterwards = payload
        elif kind == frames.EXIT:
            self._code = int(payload)

    def _write(self, data: bytes) -> None:
        try:
            streams.write_utf8(data)
        except BrokenPipeError:
            if self._needs_stdout:
                raise
            streams.discard_stdout()  # whoever reads no more still gets the exit code

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            return  # it has gone, and reading says so


def _facts() -> Fields:
    """Return what the console has to know of this command's streams."""
    facts = [("cwd", os.getcwd())]
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        if streams.is_decorated(stream):
            facts.append((f"{name}_decorated", ""))
        if streams.size_of(stream):
            facts.append((f"{name}_size", _size(stream)))
    return facts


def _size(stream: "TextIO") -> str:
    size = streams.size_of(stream)
    return f"{size.columns} {size.lines}" if size else ""
