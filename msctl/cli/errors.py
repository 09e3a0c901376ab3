"""The one place that turns what happened into an exit code and a message (contract.md)."""

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from msctl.cli import streams
from msctl.cli.interrupts import Terminated, raise_on_sigterm
from msctl.cli.render.failures import failure_lines, problem_lines
from msctl.cli.render.style import Style, paint
from msctl.errors import (
    CallTimeout,
    ConfigError,
    FleetError,
    MsctlError,
    NoDaemon,
    TimeLimitExpired,
    UsageError,
)

Action = Callable[[], int]


class ExitCode(IntEnum):
    """What the shell is told (contract.md, Exit codes)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_HEALTHY = 3
    NO_DAEMON = 4
    NOT_REACHED = 7
    ANSWERED_ERROR = 22
    TIMED_OUT = 28
    TRY_LATER = 75
    EXPIRED = 124
    INTERRUPTED = 130
    TERMINATED = 143


_CODES: tuple[tuple[type[MsctlError], ExitCode], ...] = (
    (ConfigError, ExitCode.USAGE),
    (UsageError, ExitCode.USAGE),
    (NoDaemon, ExitCode.NO_DAEMON),
    (CallTimeout, ExitCode.TIMED_OUT),
    (TimeLimitExpired, ExitCode.EXPIRED),
    (MsctlError, ExitCode.FAILED),
)


def run(action: Action) -> int:
    """Carry out a command and return its exit code; no exception of ours leaves as a trace."""
    raise_on_sigterm()
    try:
        code = action()
        streams.flush()
    except BrokenPipeError:
        code = ExitCode.OK  # whoever read our output has enough of it
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Terminated:
        code = ExitCode.TERMINATED
    except MsctlError as error:
        report(error)
        code = next(code for kind, code in _CODES if isinstance(error, kind))
    except OSError as error:
        complain(_os_error(error))
        code = ExitCode.FAILED
    return _last_flush(code)


def report(error: MsctlError) -> None:
    """Say what went wrong, where, and what to do next."""
    if isinstance(error, ConfigError):
        for line in problem_lines(error.problems, Path.cwd()):
            streams.say(line)
    elif isinstance(error, FleetError) and error.failures:
        for line in failure_lines(error.failures, decorated=streams.is_decorated(sys.stderr)):
            streams.say(line)
    else:
        complain(str(error))


def complain(message: str) -> None:
    """Write an error message."""
    streams.say(
        paint("error:", Style.BAD, decorated=streams.is_decorated(sys.stderr)) + f" {message}"
    )


def warn(message: str) -> None:
    """Write a warning."""
    decorated = streams.is_decorated(sys.stderr)
    streams.say(paint("warning:", Style.CAUTION, decorated=decorated) + f" {message}")


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else f"output: {reason}"


def _last_flush(code: int) -> int:
    """Flush here: at the interpreter's exit a failure would be a trace and exit code 120."""
    try:
        streams.flush()
    except BrokenPipeError:
        streams.discard_stdout()
    except OSError as error:
        streams.discard_stdout()
        if code == ExitCode.OK:
            complain(_os_error(error))
            return ExitCode.FAILED
    return code
