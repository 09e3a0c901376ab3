"""The router's own answers: `application/problem+json` (RFC 9457) with a reason."""

import json
import math
from dataclasses import dataclass
from http import HTTPStatus

from msctl.core.decision import Refusal
from msctl.core.outcome import Reason
from msctl.proxy.faults import BadMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemContext:
    """What is known about the call that the answer is for."""

    service: str | None = None
    instance: str | None = None
    attempts: int = 0
    head_only: bool = False
    """The request was HEAD: the answer is told, not sent."""
    close: bool = False
    allow: str | None = None
    """The methods that would do, for a 405 (RFC 9110 §15.5.6)."""


def refusal_of(fault: BadMessage) -> Refusal:
    """Return the answer for a request that breaks the protocol."""
    return Refusal(
        reason=Reason.BAD_REQUEST, status=fault.status, detail=fault.detail, retry_after=None
    )


def problem(refusal: Refusal, context: ProblemContext) -> bytes:
    """Return the whole response."""
    status = HTTPStatus(refusal.status)
    document: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "reason": str(refusal.reason),
    }
    if context.service is not None:
        document["service"] = context.service
    if refusal.retry_after is not None:
        document["retry_after"] = round(refusal.retry_after, 3)
    body = json.dumps(document).encode() + b"\n"
    lines = [
        f"HTTP/1.1 {refusal.status} {status.phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Msctl-Reason: {refusal.reason}",
        f"X-Msctl-Attempts: {context.attempts}",
    ]
    if context.instance is not None:
        lines.append(f"X-Msctl-Instance: {context.instance}")
    if refusal.retry_after is not None:
        lines.append(f"Retry-After: {max(1, math.ceil(refusal.retry_after))}")
    if context.allow is not None:
        lines.append(f"Allow: {context.allow}")
    if context.close:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if context.head_only else head + body
