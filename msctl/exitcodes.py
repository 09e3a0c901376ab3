"""What the shell is told at the end of a command (contract.md, Exit codes)."""


class ExitCode:
    """Plain numbers, not an enum: every command needs them at once, and `enum` costs 1 ms."""

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
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
    """Both of a command that msctl was to run, as of a shell."""
    INTERRUPTED = 130
    TERMINATED = 143
