"""Heads that were seen before: checked and rewritten once, recognised byte for byte after that.

Clients and services say the same again and again. What is remembered came out of the complete
parser, so the rules are the same for a head that is recognised and for one that is not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from msctl.core.express import Track
from msctl.proxy.destination import Destination
from msctl.proxy.faults import BadMessage
from msctl.proxy.fields import tokens, values
from msctl.proxy.framing import NO_BODY, BodyKind
from msctl.proxy.head import RequestHead, parse_request, parse_response
from msctl.proxy.meters import ServiceMeter
from msctl.proxy.request_body import REPLAY_LIMIT
from msctl.proxy.rewrite import ResponseContext, final_head, lasting_lines

REQUEST_LINE: Final = re.compile(
    rb'(GET|POST|PUT|DELETE|PATCH|OPTIONS) (/[!"$-~]{0,4095}+) HTTP/1\.1\r\n'
)
"""A part of what the parser accepts, and the only part of a head that differs each time."""

IDEMPOTENT: Final = frozenset({b"DELETE", b"GET", b"OPTIONS", b"PUT"})

_MAX_HEAD: Final = 4096
"""Bytes of a head that is worth remembering."""
_MAX_REMEMBERED: Final = 512
"""Heads of one front door, and answers of one instance; then it begins anew."""
_MAX_ANSWER: Final = 65536
_END: Final = b"\r\n\r\n"
_TOO_MANY_REQUESTS: Final = 429

_UNUSUAL: Final = frozenset(
    {
        b"expect",
        b"idempotency-key",
        b"trailer",
        b"traceparent",
        b"tracestate",
        b"upgrade",
        b"x-msctl-deadline-ms",
        b"x-msctl-hops",
        b"x-msctl-instance",
        b"x-request-id",
    }
)
"""Fields whose value means something to the router, or is another one each time."""


@dataclass(frozen=True, slots=True)
class FamiliarFields:
    """The fields of a request, up to and with the empty line, and what they come to."""

    raw: bytes
    size: int
    """Of the body that follows, in bytes."""
    timeout: float
    """The time limit that is among the lines, in seconds."""
    lines: bytes
    """What an instance gets instead of them, but for the ids of the call."""
    persistent: bool
    """The connection goes on after the response."""


class FamiliarRequests:
    """What the clients of one service have said."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._known: dict[tuple[bytes, str, float], FamiliarFields | None] = {}

    def recognise(
        self, data: bytes, start: int, peer: str, timeout: float
    ) -> FamiliarFields | None:
        """Return the fields that begin at `start`; None for what is not ordinary.

        `peer` is the client's address, `timeout` the service's time limit in seconds.
        """
        end = data.find(_END, start - 2) + len(_END)
        if end < len(_END) or end > _MAX_HEAD:
            return None
        key = (data[start:end], peer, timeout)
        try:
            return self._known[key]
        except KeyError:
            pass
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        found = self._known[key] = self._study(data[:end], *key)
        return found

    def _study(self, head: bytes, raw: bytes, peer: str, timeout: float) -> FamiliarFields | None:
        try:
            request = parse_request(head)
        except BadMessage:
            return None
        size = _body_size(request)
        if size is None or not _is_ordinary(request):
            return None
        to = Destination(service=self._service, target=request.target.path)
        lines = lasting_lines(request, to, peer, 1, traced=False)
        limit = b"X-Msctl-Deadline-Ms: %d\r\n" % max(1, int(timeout * 1000))
        return FamiliarFields(raw, size, timeout, lines + limit, request.persistent)


@dataclass(frozen=True, slots=True)
class FamiliarAnswer:
    """A response's head, as the client gets it."""

    head: bytes
    last_head: bytes
    """The same where the connection ends after the response."""
    status: int
    size: int
    """Of the body that follows, in bytes."""
    record: Callable[[int, float], None]
    """Counts it in its instance's meter: status and seconds."""


def recognise_answer(track: Track, head: bytes, meters: ServiceMeter) -> FamiliarAnswer | None:
    """Return what an instance's head comes to; None for what is not ordinary."""
    if len(head) > _MAX_HEAD:
        return None
    try:
        return track.notes[head]  # type: ignore[return-value]  # nobody else notes anything
    except KeyError:
        pass
    if len(track.notes) >= _MAX_REMEMBERED:
        track.notes.clear()
    found = track.notes[head] = _study_answer(track, head, meters)
    return found


def _study_answer(track: Track, head: bytes, meters: ServiceMeter) -> FamiliarAnswer | None:
    try:
        response = parse_response(head, b"GET")
    except BadMessage:
        return None
    framing = response.framing
    bounded = framing is NO_BODY or framing.kind is BodyKind.LENGTH
    ordinary = 200 <= response.status < 500 and response.status != _TOO_MANY_REQUESTS  # noqa: PLR2004 - HTTP's own numbers
    if not (bounded and ordinary) or framing.length > _MAX_ANSWER:
        return None
    if response.minor != 1 or b"close" in response.options or response.long_lived:
        return None
    going_on, last = (
        final_head(
            response,
            framing,
            ResponseContext(minor=1, close=close, instance=track.instance.id, attempts=1),
        )
        for close in (False, True)
    )
    return FamiliarAnswer(
        going_on,
        last,
        response.status,
        framing.length,
        meters.instance(track.instance.id).record,
    )


def _body_size(request: RequestHead) -> int | None:
    framing = request.framing
    if framing is NO_BODY:
        return 0
    if framing.kind is BodyKind.LENGTH and framing.length <= REPLAY_LIMIT:
        return framing.length
    return None


def _is_ordinary(request: RequestHead) -> bool:
    accepted = tokens(request.fields, b"accept")
    return (
        request.minor == 1
        and not any(field.name in _UNUSUAL for field in request.fields)
        and len(values(request.fields, b"x-forwarded-for")) <= 1
        and not any(value.startswith(b"text/event-stream") for value in accepted)
    )
