"""Whether a request becomes a call at all: hops, deadline, service (router.md, HTTP)."""

from dataclasses import dataclass
from typing import Final

from msctl.core.decision import CallFacts, Refusal
from msctl.core.outcome import Reason
from msctl.core.route_policy import RoutePolicy
from msctl.core.router import Router, ServiceRoute
from msctl.proxy.destination import Destination, unknown_service
from msctl.proxy.faults import BadMessage
from msctl.proxy.fields import tokens, values
from msctl.proxy.head import RequestHead
from msctl.proxy.problem import refusal_of

MAX_HOPS: Final = 16
_NUMBER_DIGITS: Final = 9
_IDEMPOTENT: Final = frozenset({b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE"})
"""RFC 9110 §9.2.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request that may become a call."""

    route: ServiceRoute
    facts: CallFacts
    hops: int
    """How many routers it has passed, this one included."""


def admit(router: Router, request: RequestHead, to: Destination) -> Admission | Refusal:
    """Check what needs no instance to be known."""
    try:
        hops = (_number(request, b"x-msctl-hops") or 0) + 1
        deadline_ms = _number(request, b"x-msctl-deadline-ms")
    except BadMessage as fault:
        return refusal_of(fault)
    if hops > MAX_HOPS:
        return Refusal(
            reason=Reason.LOOP,
            status=508,
            detail=f"the call went through more than {MAX_HOPS} routers",
            retry_after=None,
        )
    route = router.route(to.service)
    if route is None:
        return unknown_service(to.service, router.names())
    if deadline_ms == 0:
        return Refusal(
            reason=Reason.TIMEOUT,
            status=504,
            detail="the caller's time was up before the call was sent",
            retry_after=None,
        )
    facts = CallFacts(
        idempotent=_is_idempotent(request, route.policy),
        instance=to.instance,
        timeout=_timeout(deadline_ms, to, route.policy),
        counts_against_limits=not _is_long_lived(request),
    )
    return Admission(route=route, facts=facts, hops=hops)


def _number(request: RequestHead, name: bytes) -> int | None:
    sent = values(request.fields, name)
    if not sent:
        return None
    if len(sent) > 1 or not sent[0].isdigit() or len(sent[0]) > _NUMBER_DIGITS:
        raise BadMessage(f"{name.decode()} is not one number")
    return int(sent[0])


def _timeout(deadline_ms: int | None, to: Destination, policy: RoutePolicy) -> float | None:
    """Return the limit in seconds that replaces the service's own, if any does."""
    if deadline_ms is None:
        return None
    left = deadline_ms / 1000
    return left if to.sets_deadline else min(left, policy.timeout)


def _is_idempotent(request: RequestHead, policy: RoutePolicy) -> bool:
    if request.method in _IDEMPOTENT:
        return True
    return (
        policy.retries is not None
        and policy.retries.idempotency_key
        and request.method == b"POST"
        and bool(values(request.fields, b"idempotency-key"))
    )


def _is_long_lived(request: RequestHead) -> bool:
    """Tunnels and event streams: they count as connections, not against limits."""
    if request.upgrade is not None:
        return True
    return any(
        accepted.partition(b";")[0].strip() == b"text/event-stream"
        for accepted in tokens(request.fields, b"accept")
    )
