"""The one place that turns what went wrong into a message and an exit code (contract.md)."""

import os
import sys
from pathlib import Path

from msctl.cli import streams
from msctl.cli.messages import complain
from msctl.errors import MsctlError
from msctl.exitcodes import ExitCode
from msctl.render.errors import code_of, error_lines


def conclude(error: MsctlError | OSError) -> int:
    """Say what went wrong, where, and what to do next; return the exit code."""
    if isinstance(error, MsctlError):
        decorated = streams.is_decorated(sys.stderr)
        for line in error_lines(error, Path.cwd(), decorated=decorated):
            streams.say(line)
        return code_of(error)
    complain(_os_error(error))
    return ExitCode.FAILED


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else f"output: {reason}"
