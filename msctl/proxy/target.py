"""The four forms of a request target, and which of them are served (RFC 9112 §3.2)."""

import re
from typing import Final, NamedTuple

from msctl.proxy.faults import BadMessage

HOST: Final = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=\[\]:]*+")
"""Characters of a host with an optional port; what they name is the service's to judge."""

_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?]+)([/?].*)?")


class RequestTarget(NamedTuple):
    """Where a request goes, in origin form (or `*`)."""

    path: bytes
    """Path and query, as they were received."""
    authority: bytes | None
    """Named by an absolute form; it stands for the Host field, whatever that says."""


def parse_target(method: bytes, target: bytes) -> RequestTarget:
    """Bring a target to origin form; raises BadMessage for what an origin does not serve."""
    if method == b"CONNECT":
        raise BadMessage("CONNECT is for proxies that one asks for; this is a service")
    if b"#" in target:
        raise BadMessage("a fragment has no place in a request target")
    if target.startswith(b"/"):
        return RequestTarget(target, None)
    if target == b"*":
        if method != b"OPTIONS":
            raise BadMessage("the target * is for OPTIONS only")
        return RequestTarget(target, None)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or HOST.fullmatch(absolute[1]) is None:
        raise BadMessage("the request target is neither a path nor an http URL")
    return RequestTarget(_origin_form(method, absolute[2] or b""), absolute[1])


def _origin_form(method: bytes, rest: bytes) -> bytes:
    """RFC 9112 §3.2.4: OPTIONS on a URL without a path asks about the server as a whole."""
    if not rest and method == b"OPTIONS":
        return b"*"
    return rest if rest.startswith(b"/") else b"/" + rest
