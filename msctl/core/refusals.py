"""The answers that the router gives itself, each with what the caller can do next."""

from http import HTTPStatus

from msctl.core.breaker import CircuitBreaker
from msctl.core.decision import Refusal
from msctl.core.outcome import FailureRule, Reason
from msctl.core.rotation import Shortage

SOON = 1.0
"""Seconds in Retry-After where nothing better is known."""


def spent_deadline(service: str, timeout: float) -> Refusal:
    """Refuse a call whose time is over."""
    return Refusal(
        Reason.TIMEOUT,
        HTTPStatus.GATEWAY_TIMEOUT,
        f"{service} gave no answer within {timeout:g} s",
    )


def full_queue(service: str) -> Refusal:
    """Refuse a call for which there is not even a place to wait."""
    return Refusal(
        Reason.OVERLOADED,
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"{service} has as many calls under way and waiting as its limits allow",
        SOON,
    )


def open_breaker(service: str, breakers: tuple[CircuitBreaker, ...], now: float) -> Refusal:
    """Refuse a call that these breakers keep out; none of them can say when: no Retry-After."""
    waits = [wait for b in breakers if (wait := b.retry_after(now)) is not None]
    return Refusal(
        Reason.BREAKER_OPEN,
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"the circuit breaker of {service} is open",
        min(waits, default=None),
    )


def nothing_there(service: str, instance: str | None, shortage: Shortage, now: float) -> Refusal:
    """Refuse a call for which no instance is ready, or not the one that it asks for."""
    if shortage.kept_out:
        return open_breaker(service, shortage.kept_out, now)
    wait = SOON if shortage.changes_at is None else max(shortage.changes_at - now, SOON)
    return Refusal(
        Reason.NO_INSTANCES,
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"no instance of {service} is ready" if instance is None else f"{instance} is not ready",
        wait,
    )


def failed_attempt(rule: FailureRule, instance_id: str) -> Refusal:
    """Answer for an attempt that brought no response."""
    return Refusal(rule.reason, rule.status, rule.detail.format(instance=instance_id))


def exhausted(status: int, instance_id: str) -> Refusal:
    """Answer for a response that was given up for another try which then had no instance."""
    return Refusal(
        Reason.BAD_RESPONSE,
        status,
        f"{instance_id} answered {status}, and no other instance could be asked",
    )
