"""The frame around every command: no exception of ours leaves as a trace (contract.md)."""

from msctl.cli import streams
from msctl.cli.interrupts import Terminated, raise_on_sigterm
from msctl.errors import MsctlError
from msctl.exitcodes import ExitCode

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Callable


def guarded(action: "Callable[[], int]") -> int:
    """Carry out a command and return its exit code, whatever happens in it."""
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
    except (MsctlError, OSError) as error:
        from msctl.cli.errors import conclude  # noqa: PLC0415 - for start-up time

        code = conclude(error)
    return _last_flush(code)


def _last_flush(code: int) -> int:
    """Flush here: at the interpreter's exit a failure would be a trace and exit code 120."""
    try:
        streams.flush()
    except BrokenPipeError:
        streams.discard_stdout()
    except OSError as error:
        streams.discard_stdout()
        if code == ExitCode.OK:
            from msctl.cli.errors import conclude  # noqa: PLC0415 - for start-up time

            return conclude(error)
    return code
