"""What an answer means for the exit code of `call` (contract.md, Exit codes)."""

from msctl.exitcodes import ExitCode

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from typing import Any

_ERROR = 400
_REFUSALS = {
    "no_instances": ExitCode.NOT_REACHED,
    "connect_failed": ExitCode.NOT_REACHED,
    "timeout": ExitCode.TIMED_OUT,
    "breaker_open": ExitCode.TRY_LATER,
    "overloaded": ExitCode.TRY_LATER,
    "unknown_service": ExitCode.USAGE,
}
_WORDS = {
    "no_instances": "no instance is there to answer",
    "connect_failed": "no instance could be reached",
    "timeout": "no answer in time",
    "breaker_open": "its circuit breaker is open",
    "overloaded": "it has more requests than it can take",
}


def exit_code(status: int, reason: str | None, *, no_fail: bool) -> int:
    """Return the exit code; `reason` is the router's, None when the service itself answered."""
    if reason in _REFUSALS:
        return _REFUSALS[reason]
    return ExitCode.OK if status < _ERROR or no_fail else ExitCode.ANSWERED_ERROR


def is_refusal(code: int) -> bool:
    """Whether the router gave no instance's answer, so that there is no body to print."""
    return code in _REFUSALS.values()


def refusal_message(service: str, reason: str, body: bytes) -> str:
    """Say why the router refused, from its problem document, and what to do next."""
    problem = _problem(body)
    message = f"{service}: {reason}: {problem.get('detail') or _WORDS.get(reason, 'refused')}"
    if (seconds := problem.get("retry_after")) is not None:
        message += f"; try again in {seconds:g} s"
    return f"{message}; see: msctl status {service}"


def _problem(body: bytes) -> "dict[str, Any]":
    import json  # noqa: PLC0415 - for start-up time: only a refused call needs it

    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
