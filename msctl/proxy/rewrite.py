"""Heads as they leave the proxy: what is unknown goes on byte for byte, in its order."""

from dataclasses import dataclass
from typing import Final

from msctl.proxy.destination import Destination
from msctl.proxy.fields import Field, Fields, forwardable, render, values
from msctl.proxy.framing import BodyKind, Framing
from msctl.proxy.head import RequestHead, ResponseHead
from msctl.proxy.trace import IdSource, trace_of

_VIA: Final = (b"Via: 1.0 msctl\r\n", b"Via: 1.1 msctl\r\n")
_REPLACED: Final = frozenset(
    {
        b"traceparent",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-msctl-deadline-ms",
        b"x-msctl-hops",
        b"x-msctl-instance",
    }
)
_OURS: Final = frozenset({b"x-msctl-attempts", b"x-msctl-instance", b"x-msctl-reason"})
"""Said by the router about a response; an instance that says it is not heard."""

_KEEPS_UPGRADE: Final = (101, 426)


class OutgoingRequest:
    """The head that instances get: rendered once, with a few lines new for each attempt."""

    def __init__(
        self, request: RequestHead, destination: Destination, peer: str, hops: int, ids: IdSource
    ) -> None:
        self._ids = ids
        self._trace = trace_of(request.fields, ids)
        given = values(request.fields, b"x-request-id")
        self.request_id = given[0] if given else ids.draw(16)
        """The caller's, or a new one."""
        self.trace_id = self._trace.trace_id
        self._fixed = b"".join(
            (
                b"%b %b HTTP/1.1\r\n" % (request.method, destination.target),
                lasting_lines(request, destination, peer, hops, traced=self._trace.inherited),
                b"" if given else b"X-Request-Id: %b\r\n" % self.request_id,
            )
        )

    def render(self, *, left: float, expect_continue: bool) -> bytes:
        """Return the head for one attempt; `left` are the seconds until the call's deadline."""
        return b"%btraceparent: %b\r\nX-Msctl-Deadline-Ms: %d\r\n%b\r\n" % (
            self._fixed,
            self._trace.parent(self._ids),
            max(1, int(left * 1000)),
            b"Expect: 100-continue\r\n" if expect_continue else b"",
        )


def lasting_lines(
    request: RequestHead, destination: Destination, peer: str, hops: int, *, traced: bool
) -> bytes:
    """Return the lines that are the same in every attempt, and for every request alike.

    `traced`: the caller began the trace, so what it says of it is passed on.
    """
    return b"".join(
        (
            render(_kept(request, destination, traced=traced)),
            _connection_lines(request),
            _VIA[request.minor],
            _forwarded_lines(request, peer),
            b"X-Forwarded-Prefix: %b\r\n" % destination.prefix if destination.prefix else b"",
            b"X-Msctl-Hops: %d\r\n" % hops,
        )
    )


def _kept(request: RequestHead, destination: Destination, *, traced: bool) -> list[Field]:
    replaced = _REPLACED
    if request.expects_continue:
        replaced |= {b"expect"}
    if destination.prefix:
        replaced |= {b"x-forwarded-prefix"}
    if not traced:
        replaced |= {b"tracestate"}
    kept = list(forwardable(request.fields, replaced))
    if request.target.authority is not None or not values(request.fields, b"host"):
        kept = _with_host(kept, request.host or b"localhost")
    return kept


def _with_host(fields: list[Field], host: bytes) -> list[Field]:
    """Set Host: an absolute target overrules it (RFC 9112 §3.2.2); HTTP/1.0 may have none."""
    field = Field(b"host", host, b"Host: " + host)
    return [field, *(other for other in fields if other.name != b"host")]


def _connection_lines(request: RequestHead) -> bytes:
    lines = b""
    if request.framing.kind is BodyKind.CHUNKED:
        lines += b"Transfer-Encoding: chunked\r\n"
    if (protocol := request.upgrade) is not None:
        return lines + b"Connection: Upgrade\r\nUpgrade: %b\r\n" % protocol
    if any(value.lower() == b"trailers" for value in values(request.fields, b"te")):
        lines += b"TE: trailers\r\nConnection: TE\r\n"
    return lines


def _forwarded_lines(request: RequestHead, peer: str) -> bytes:
    """One line each: common readers of these look at one line only."""
    chain = values(request.fields, b"x-forwarded-for")
    if peer:
        chain.append(peer.encode())
    proto = values(request.fields, b"x-forwarded-proto") or [b"http"]
    host = values(request.fields, b"x-forwarded-host") or [request.host]
    lines = b"X-Forwarded-For: %b\r\n" % b", ".join(chain) if chain else b""
    lines += b"X-Forwarded-Proto: %b\r\n" % b", ".join(proto)
    if host != [b""]:
        lines += b"X-Forwarded-Host: %b\r\n" % b", ".join(host)
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseContext:
    """What a response's head says about the way it came."""

    minor: int
    """The version that the client speaks."""
    close: bool
    """The connection ends after this response."""
    instance: str
    attempts: int


def final_head(response: ResponseHead, framing: Framing, context: ResponseContext) -> bytes:
    """Return the head of the response proper, whose body will be delimited by `framing`."""
    lines = b""
    if framing.kind is BodyKind.CHUNKED or _announces_chunks(response, context):
        lines += b"Transfer-Encoding: chunked\r\n"
    if response.status in _KEEPS_UPGRADE and (offered := values(response.fields, b"upgrade")):
        lines += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % b", ".join(offered)
    elif context.close:
        lines += b"Connection: close\r\n"
    return b"%b%b%bX-Msctl-Instance: %b\r\nX-Msctl-Attempts: %d\r\n\r\n" % (
        _status_line(response) + render(forwardable(response.fields, _hidden(response))),
        lines,
        _VIA[response.minor],
        context.instance.encode(),
        context.attempts,
    )


def informational_head(response: ResponseHead) -> bytes:
    """Return a 1xx as it goes to the client."""
    fields: Fields = tuple(forwardable(response.fields, _hidden(response)))
    return _status_line(response) + render(fields) + b"\r\n"


def _hidden(response: ResponseHead) -> frozenset[bytes]:
    if response.status < 200 or response.status == 204:  # noqa: PLR2004 - HTTP's own numbers
        return _OURS | {b"content-length"}  # RFC 9110 §8.6: not with these
    return _OURS


def _announces_chunks(response: ResponseHead, context: ResponseContext) -> bool:
    """Whether a response to HEAD said that the body of a GET would be chunked."""
    return (
        response.framing.kind is BodyKind.NONE
        and response.status >= 200  # noqa: PLR2004 - HTTP's own number
        and response.status not in (204, 304)
        and context.minor == 1
        and bool(values(response.fields, b"transfer-encoding"))
    )


def _status_line(response: ResponseHead) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (response.status, response.reason)
