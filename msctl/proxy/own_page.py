"""`GET /metrics` on the gateway port: the one page that is the gateway's own."""

import asyncio
from typing import Final

from msctl.clock import Clock
from msctl.core.decision import Refusal
from msctl.core.outcome import Reason
from msctl.core.registry import ServiceRegistry
from msctl.core.router import Router
from msctl.proxy.fields import values
from msctl.proxy.gauges import Gauges, read_gauges
from msctl.proxy.head import RequestHead
from msctl.proxy.meters import Meters, ServiceMeter
from msctl.proxy.problem import ProblemContext, problem

_ALLOWED: Final = "GET, HEAD"
_NOT_READ: Final = Refusal(Reason.BAD_REQUEST, 405, "this page can only be read")


class MetricsPage:
    """Reads the numbers in one step of the loop, and makes text of them in a thread."""

    def __init__(
        self, meters: Meters, router: Router, registry: ServiceRegistry, clock: Clock
    ) -> None:
        self._meters = meters
        self._router = router
        self._registry = registry
        self._clock = clock

    async def response(self, request: RequestHead, *, close: bool) -> bytes:
        """Return the whole response; `close` says that the connection ends with it."""
        if request.method.decode() not in _ALLOWED.split(", "):
            return problem(_NOT_READ, ProblemContext(close=close, allow=_ALLOWED))
        accept = b",".join(values(request.fields, b"accept")).decode("latin-1")
        gauges = read_gauges(self._router, self._registry, self._clock.now())
        counted = self._meters.copy()
        body, content_type = await asyncio.to_thread(_text, counted, gauges, accept)
        lines = [
            "HTTP/1.1 200 OK",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            *(["Connection: close"] if close else []),
        ]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if request.method == b"HEAD" else head + body


def _text(counted: tuple[ServiceMeter, ...], gauges: Gauges, accept: str) -> tuple[bytes, str]:
    # Imported here for start-up time: 12 ms that only those pay who read the page.
    from msctl.proxy.metrics import FleetCollector, exposition  # noqa: PLC0415 - see above

    return exposition(FleetCollector(counted, gauges), accept)
