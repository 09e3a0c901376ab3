"""What a call's result or exception says of the one that was called."""

from msctl.core.outcome import Reason, Verdict, rule_for_status
from msctl.errors import ServiceUnavailable

_STATUSES = range(100, 600)

_LOCAL_REFUSALS = frozenset({Reason.NO_INSTANCES, Reason.BREAKER_OPEN, Reason.OVERLOADED})
"""Refused on this side, so nothing was learnt of the other ("What counts", last row)."""


def judge_result(result: object) -> Verdict:
    """Judge what a call returned: an HTTP response by its status, anything else as a success.

    A response is what has an integer `status_code` (httpx, requests) or `status` (aiohttp,
    urllib); a returned 500 is a failure even though nothing was raised.
    """
    status = _status_of(result)
    return Verdict.SUCCESS if status is None else rule_for_status(status).verdict


def judge_error(error: BaseException) -> Verdict:
    """Judge what a call raised.

    Cancellation, and whatever else is no Exception (an interrupt, a closed generator), says
    nothing of the other side. An error that carries an HTTP status, itself or in its
    `response`, is judged by it: a 404 that was raised is as alive as one that was returned.
    """
    if not isinstance(error, Exception):
        return Verdict.ABANDONED
    if isinstance(error, ServiceUnavailable) and error.reason in _LOCAL_REFUSALS:
        return Verdict.ABANDONED
    status = _status_of(error) or _status_of(getattr(error, "response", None))
    verdict = Verdict.FAILURE if status is None else rule_for_status(status).verdict
    return Verdict.FAILURE if verdict is Verdict.SUCCESS else verdict


def _status_of(subject: object) -> int | None:
    for name in ("status_code", "status"):
        value = getattr(subject, name, None)
        if isinstance(value, int) and value in _STATUSES:
            return int(value)
    return None
