"""Errors in words, and what the shell is told of them (contract.md, Exit codes)."""

from collections.abc import Sequence
from pathlib import Path

from msctl.errors import (
    CallTimeout,
    ConfigError,
    FleetError,
    MsctlError,
    NoDaemon,
    TimeLimitExpired,
    UsageError,
)
from msctl.exitcodes import ExitCode
from msctl.render.failures import failure_lines, problem_lines
from msctl.render.style import Style, paint

_CODES: tuple[tuple[type[MsctlError], int], ...] = (
    (ConfigError, ExitCode.USAGE),
    (UsageError, ExitCode.USAGE),
    (NoDaemon, ExitCode.NO_DAEMON),
    (CallTimeout, ExitCode.TIMED_OUT),
    (TimeLimitExpired, ExitCode.EXPIRED),
    (MsctlError, ExitCode.FAILED),
)


def code_of(error: MsctlError) -> int:
    """Return the exit code of a command that ended with this error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def error_lines(error: MsctlError, directory: Path, *, decorated: bool) -> Sequence[str]:
    """Say what went wrong, where, and what to do next; files are named as `directory` sees them."""
    if isinstance(error, ConfigError):
        return problem_lines(error.problems, directory)
    if isinstance(error, FleetError) and error.failures:
        return failure_lines(error.failures, decorated=decorated)
    return [f"{paint('error:', Style.BAD, decorated=decorated)} {error}"]
