"""What the calls that a service makes inherit from the one that it is answering."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from msctl.clock import Clock, SystemClock

_INHERITED = ("traceparent", "tracestate", "x-request-id", "x-msctl-hops")
_CLOCK: Clock = SystemClock()


@dataclass(frozen=True, slots=True)
class CallContext:
    """The trace, the hops and the deadline of the request that is being answered."""

    headers: Mapping[str, str]
    deadline: float | None
    """In seconds of the monotonic clock; None outside a request and without a limit."""


_OUTSIDE = CallContext(headers=MappingProxyType({}), deadline=None)
CURRENT_CALL: ContextVar[CallContext] = ContextVar("CURRENT_CALL", default=_OUTSIDE)


class CallContextMiddleware:
    """ASGI middleware that notes the context of each request, for ServiceClient to pass on.

    Without it a loop through two services could not be seen (`X-Msctl-Hops`), and work
    would go on for callers that have given up (`X-Msctl-Deadline-Ms`); router.md, HTTP.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = CURRENT_CALL.set(_context(Headers(scope=scope)))
        try:
            await self._app(scope, receive, send)
        finally:
            CURRENT_CALL.reset(token)


def _context(headers: Headers) -> CallContext:
    left = headers.get("x-msctl-deadline-ms", "")
    is_number = left.isascii() and left.isdigit()
    return CallContext(
        headers={name: headers[name] for name in _INHERITED if name in headers},
        deadline=_CLOCK.now() + float(left) / 1000 if is_number else None,
    )
