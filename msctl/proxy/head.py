"""Heads of requests and responses: one strict pattern each, then the checks it cannot make.

The pattern accepts exactly the heads that RFC 9112 allows, so nothing in the lines that
are forwarded can mean something else to the next reader.
"""

import re
from dataclasses import dataclass
from typing import Final

from msctl.proxy.faults import BadMessage
from msctl.proxy.fields import FIELD_LINES, TEXT, TOKEN, Fields, parse_fields, tokens, values
from msctl.proxy.framing import NO_BODY, Framing, request_framing, response_framing
from msctl.proxy.target import HOST, RequestTarget, parse_target

MAX_HEAD: Final = 65536
"""Bytes of a head, its final empty line included (router.md, HTTP)."""

_TARGET: Final = rb"[!-~\x80-\xff]++"
_REQUEST: Final = re.compile(
    rb"(" + TOKEN + rb") (" + _TARGET + rb") HTTP/1\.([01])\r\n(" + FIELD_LINES + rb")\r\n"
)
_RESPONSE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (" + TEXT + rb"))?\r\n(" + FIELD_LINES + rb")\r\n"
)
_END_OR_FAULT: Final = re.compile(rb"\r\n\r\n|\x00|(?<!\r)\n|\r(?=[^\n])")
_OTHER_VERSION: Final = re.compile(TOKEN + rb" " + _TARGET + rb" HTTP/[0-9]+(?:\.[0-9]+)?")
_HTTP_1: Final = (b"HTTP/1.1", b"HTTP/1.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """A request's head that passed every check."""

    method: bytes
    target: RequestTarget
    minor: int
    """1 for HTTP/1.1, 0 for HTTP/1.0."""
    fields: Fields
    host: bytes
    """The target's authority, else the Host field; empty when there is neither."""
    framing: Framing
    options: frozenset[bytes]
    """What `Connection` says, in lower case."""

    @property
    def persistent(self) -> bool:
        """Whether the connection may serve another request (router.md: never for HTTP/1.0)."""
        return self.minor == 1 and b"close" not in self.options

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        return (
            self.minor == 1
            and self.framing is not NO_BODY
            and b"100-continue" in tokens(self.fields, b"expect")
        )

    @property
    def upgrade(self) -> bytes | None:
        """The protocol asked for, when the request may become a tunnel.

        HTTP/2 over an upgrade is not passed on: the tunnel would carry requests that no
        one checks. A request with a body stays a request, which RFC 9110 §7.8 allows.
        """
        if self.minor == 0 or b"upgrade" not in self.options or self.framing is not NO_BODY:
            return None
        if b"h2c" in tokens(self.fields, b"upgrade"):
            return None
        return b", ".join(values(self.fields, b"upgrade")) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """A response's head that passed every check."""

    minor: int
    status: int
    reason: bytes
    fields: Fields
    framing: Framing
    options: frozenset[bytes]

    @property
    def informational(self) -> bool:
        """A 1xx that comes before the response proper; 101 is the response proper."""
        return self.status < 200 and self.status != 101  # noqa: PLR2004 - HTTP's own numbers

    @property
    def long_lived(self) -> bool:
        """A tunnel or an event stream: it has no end that anyone waits for."""
        kind = values(self.fields, b"content-type")[:1]
        return self.status == 101 or any(  # noqa: PLR2004 - HTTP's own number
            value.partition(b";")[0].strip().lower() == b"text/event-stream" for value in kind
        )


class HeadScanner:
    """Cuts heads out of a buffer that grows; it looks at each byte once, however it arrives."""

    def __init__(self) -> None:
        self._seen = 0

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove and return the head, or None while it is incomplete; raises BadMessage.

        Empty lines before a head are skipped (RFC 9112 §2.2). Bare CR or LF and NUL are
        refused here, since with them the end of the head is a matter of opinion.
        """
        while buffer.startswith(b"\r\n"):
            del buffer[:2]
            self._seen = 0
        found = _END_OR_FAULT.search(buffer, max(0, self._seen - 3), MAX_HEAD)
        if found is None:
            if len(buffer) >= MAX_HEAD:
                raise BadMessage(f"the head is longer than {MAX_HEAD} bytes", status=431)
            self._seen = len(buffer)
            return None
        if found[0] != b"\r\n\r\n":
            raise BadMessage("a bare CR or LF, or NUL, in the head")
        end, self._seen = found.end(), 0
        head = bytes(memoryview(buffer)[:end])
        del buffer[:end]
        return head


def parse_request(raw: bytes) -> RequestHead:
    """Check and take apart a whole request head; raises BadMessage."""
    match = _REQUEST.fullmatch(raw)
    if match is None:
        raise _fault(raw)
    method, target, minor, block = match.groups()
    version, fields = int(minor), parse_fields(block)
    parsed = parse_target(method, target)
    host = _host(fields, version)
    return RequestHead(
        method=method,
        target=parsed,
        minor=version,
        fields=fields,
        host=host if parsed.authority is None else parsed.authority,
        framing=request_framing(fields, version),
        options=tokens(fields, b"connection"),
    )


def parse_response(raw: bytes, method: bytes) -> ResponseHead:
    """Check and take apart the head of the response to a `method` request; raises BadMessage."""
    match = _RESPONSE.fullmatch(raw)
    if match is None:
        raise BadMessage("the response's head is malformed")
    minor, status, reason, block = match.groups()
    version, code, fields = int(minor), int(status), parse_fields(block)
    return ResponseHead(
        minor=version,
        status=code,
        reason=reason or b"",
        fields=fields,
        framing=response_framing(fields, version, code, method),
        options=tokens(fields, b"connection"),
    )


def _host(fields: Fields, minor: int) -> bytes:
    hosts = values(fields, b"host")
    if len(hosts) > 1:
        raise BadMessage("more than one Host")
    if not hosts:
        if minor == 1:
            raise BadMessage("no Host")
        return b""
    if HOST.fullmatch(hosts[0]) is None:
        raise BadMessage("Host is not a host with an optional port")
    return hosts[0]


def _fault(raw: bytes) -> BadMessage:
    """Say what the pattern did not like; only ever called for a head that it refused."""
    first, *lines = raw[:-4].split(b"\r\n")
    if not first.endswith(_HTTP_1) and _OTHER_VERSION.fullmatch(first):
        return BadMessage("only HTTP/1.1 and HTTP/1.0 are spoken here", status=505)
    for line in lines:
        if line.startswith((b" ", b"\t")):
            return BadMessage("a folded header field")
        name, colon, _ = line.partition(b":")
        if colon and name.endswith((b" ", b"\t")):
            return BadMessage("white space before the colon of a header field")
    return BadMessage("the request's head is malformed")
