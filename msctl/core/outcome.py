"""What counts: how each end of an attempt is judged, repeated and answered, as data.

The table is router.md's "What counts"; the code elsewhere only looks things up in it.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus


class Verdict(StrEnum):
    """What a finished attempt says about the one that answered it (router.md, Breaker)."""

    SUCCESS = "success"
    ALIVE = "alive"
    """A 4xx: good in the rate and as a probe, does not end a run of failures."""
    THROTTLED = "throttled"
    """A 429: alive, but counted against the rate."""
    FAILURE = "failure"
    ABANDONED = "abandoned"
    """Cancelled, or not the instance's fault: counts nothing."""


class Outcome(StrEnum):
    """How an attempt ended, as the one who does the I/O sees it."""

    ANSWERED = "answered"
    """A response head arrived; its status is judged by `rule_for_status`."""
    NOT_SENT = "not_sent"
    """Connection refused or connect timeout: not a byte of the request was sent."""
    STALE_CONNECTION = "stale_connection"
    """Closed before any byte, on a connection that had served a request before."""
    RESET = "reset"
    """Closed before any byte, on a fresh connection."""
    LOST = "lost"
    """The instance died or turned unhealthy while it had not answered."""
    MALFORMED = "malformed"
    """What came back is not HTTP."""
    BROKEN_BODY = "broken_body"
    """The response broke off after its head had been relayed."""
    TIMED_OUT = "timed_out"
    """The call's time limit was reached while the attempt was under way."""
    CLIENT_GONE = "client_gone"
    """Nobody waits for the answer any more."""


class Reason(StrEnum):
    """Why the router itself answers a call (router.md, HTTP)."""

    NO_INSTANCES = "no_instances"
    BREAKER_OPEN = "breaker_open"
    OVERLOADED = "overloaded"
    CONNECT_FAILED = "connect_failed"
    UPSTREAM_RESET = "upstream_reset"
    TIMEOUT = "timeout"
    BAD_RESPONSE = "bad_response"
    LOOP = "loop"
    UNKNOWN_SERVICE = "unknown_service"
    BAD_REQUEST = "bad_request"


class Repeat(StrEnum):
    """Which calls may be tried again after an attempt that ended so."""

    NEVER = "never"
    IDEMPOTENT = "idempotent"
    ANY = "any"
    """Every method, and free of the retry budget: it was never sent."""
    MOVED = "moved"
    """Idempotent ones, free of the retry budget: their instance has left rotation, so they
    replace what it was given and add nothing, and its verdict made all of them due at once."""
    FRESH = "fresh"
    """Idempotent ones, once, over a fresh connection; no retry in the budget's sense."""


@dataclass(frozen=True, slots=True)
class FailureRule:
    """One row of the table for attempts without a response: verdict, repetition, answer."""

    verdict: Verdict
    repeat: Repeat
    reason: Reason
    status: HTTPStatus
    detail: str


FAILURE_RULES: dict[Outcome, FailureRule] = {
    Outcome.NOT_SENT: FailureRule(
        Verdict.FAILURE,
        Repeat.ANY,
        Reason.CONNECT_FAILED,
        HTTPStatus.BAD_GATEWAY,
        "could not connect to {instance}",
    ),
    Outcome.STALE_CONNECTION: FailureRule(
        Verdict.ABANDONED,
        Repeat.FRESH,
        Reason.UPSTREAM_RESET,
        HTTPStatus.BAD_GATEWAY,
        "{instance} closed a reused connection before it answered",
    ),
    Outcome.RESET: FailureRule(
        Verdict.FAILURE,
        Repeat.IDEMPOTENT,
        Reason.UPSTREAM_RESET,
        HTTPStatus.BAD_GATEWAY,
        "{instance} closed the connection before it answered",
    ),
    Outcome.LOST: FailureRule(
        Verdict.FAILURE,
        Repeat.MOVED,
        Reason.UPSTREAM_RESET,
        HTTPStatus.BAD_GATEWAY,
        "{instance} died or became unhealthy before it answered",
    ),
    Outcome.MALFORMED: FailureRule(
        Verdict.FAILURE,
        Repeat.NEVER,
        Reason.BAD_RESPONSE,
        HTTPStatus.BAD_GATEWAY,
        "{instance} sent something that is not HTTP",
    ),
    Outcome.BROKEN_BODY: FailureRule(
        Verdict.FAILURE,
        Repeat.NEVER,
        Reason.UPSTREAM_RESET,
        HTTPStatus.BAD_GATEWAY,
        "{instance} broke off its response",
    ),
    Outcome.TIMED_OUT: FailureRule(
        Verdict.FAILURE,
        Repeat.NEVER,
        Reason.TIMEOUT,
        HTTPStatus.GATEWAY_TIMEOUT,
        "{instance} did not answer in time",
    ),
    # Nobody reads this answer; a row keeps the table complete.
    Outcome.CLIENT_GONE: FailureRule(
        Verdict.ABANDONED,
        Repeat.NEVER,
        Reason.UPSTREAM_RESET,
        HTTPStatus.BAD_GATEWAY,
        "the client went away",
    ),
}
"""Every outcome but ANSWERED."""


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What a response's status says of its instance, and whether another may be asked."""

    verdict: Verdict
    repeat: Repeat = Repeat.NEVER


_SUCCESS = StatusRule(Verdict.SUCCESS)
_ALIVE = StatusRule(Verdict.ALIVE)
_FAILURE = StatusRule(Verdict.FAILURE)
_TRY_ELSEWHERE = StatusRule(Verdict.FAILURE, Repeat.IDEMPOTENT)

_CLIENT_ERRORS = int(HTTPStatus.BAD_REQUEST)
_SERVER_ERRORS = int(HTTPStatus.INTERNAL_SERVER_ERROR)

STATUS_RULES: dict[int, StatusRule] = {
    HTTPStatus.TOO_MANY_REQUESTS: StatusRule(Verdict.THROTTLED),
    HTTPStatus.BAD_GATEWAY: _TRY_ELSEWHERE,
    HTTPStatus.SERVICE_UNAVAILABLE: _TRY_ELSEWHERE,
    HTTPStatus.GATEWAY_TIMEOUT: _TRY_ELSEWHERE,
}
"""The statuses that are not judged by their class alone."""


def rule_for_status(status: int) -> StatusRule:
    """Return how a response with this status is judged."""
    if status < _CLIENT_ERRORS:
        return _SUCCESS
    if (rule := STATUS_RULES.get(status)) is not None:
        return rule
    return _ALIVE if status < _SERVER_ERRORS else _FAILURE
