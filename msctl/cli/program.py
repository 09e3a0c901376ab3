"""Programs that msctl runs for the user: whether there is one, and how it ended, as in a shell."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn, Self

from msctl.errors import MsctlError
from msctl.exitcodes import ExitCode

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_SIGNALLED = 128


class NoProgram(MsctlError):
    """The program cannot be run; `code` is what a shell would say."""

    def __init__(self, name: str, reason: str, code: int) -> None:
        self.code = code
        super().__init__(f"{name}: {reason}")

    @classmethod
    def because(cls, name: str, error: OSError) -> "NoProgram":
        """Return it for a program that the system has refused to execute."""
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        code = ExitCode.NOT_FOUND if missing else ExitCode.NOT_EXECUTABLE
        return cls(name, error.strerror or str(error), code)


def find(name: str, environ: Mapping[str, str], directory: str) -> str:
    """Return the path of a program that is to be run in a directory; raises NoProgram."""
    refused = ""
    for candidate in _candidates(name, environ):
        path = os.path.join(directory, candidate)
        if not os.path.exists(path):
            continue
        if os.path.isdir(path):
            refused = refused or "is a directory"
        elif os.access(path, os.X_OK):
            return path
        else:
            refused = "permission denied"
    if refused:
        raise NoProgram(name, refused, ExitCode.NOT_EXECUTABLE)
    raise NoProgram(name, "command not found", ExitCode.NOT_FOUND)


def _candidates(name: str, environ: Mapping[str, str]) -> list[str]:
    if "/" in name or not name:
        return [name] if name else []
    places = environ.get("PATH", os.defpath).split(os.pathsep)
    return [os.path.join(place, name) for place in places]


def become(path: str, command: tuple[str, ...], environment: Mapping[str, str]) -> NoReturn:
    """Go on as a program; raises NoProgram when the system refuses to execute it."""
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)  # what is ignored would be so in the program, too
    try:
        os.execve(path, command, environment)  # noqa: S606  no shell is wanted
    except OSError as error:
        raise NoProgram.because(command[0], error) from error


def see_through(path: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program on our own streams until it ends; return its exit code.

    Signals reach it as if it had been run alone: those of the terminal do by themselves, the
    others are passed on. Raises NoProgram when the system refuses to execute it.
    """
    with _Passing() as passing:
        try:
            process = subprocess.Popen(command, executable=path, env=environment)
        except OSError as error:
            raise NoProgram.because(command[0], error) from error
        passing.begin(process)
        code = process.wait()
    return code if code >= 0 else _SIGNALLED - code


class _Passing:
    """While entered, signals do not end us; they are passed on to the process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def __enter__(self) -> Self:
        heard = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
        # Ignored ones, as `nohup` leaves them, stay so for the program, too.
        self._before = {number: signal.signal(number, self._pass_on) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin(self, process: "subprocess.Popen[bytes]") -> None:
        """Pass on what has come while there was no process yet."""
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        elif number == signal.SIGTERM or not _is_in_foreground():
            self._process.send_signal(number)


def _is_in_foreground() -> bool:
    """Whether the terminal sends its signals to us, and so to what we run as well."""
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
