"""Where a message's body ends; anything that two readers could take differently is refused."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from msctl.proxy.faults import BadMessage
from msctl.proxy.fields import Fields, values

_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
"""1*DIGIT; 18 digits are an exabyte, and fit a signed 64-bit number everywhere."""

_BODILESS: Final = frozenset({204, 304})


class BodyKind(Enum):
    """How the end of a body is told."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body is delimited; `length` in bytes, for LENGTH only."""

    kind: BodyKind
    length: int = 0


NO_BODY: Final = Framing(BodyKind.NONE)
CHUNKED: Final = Framing(BodyKind.CHUNKED)
UNTIL_CLOSE: Final = Framing(BodyKind.UNTIL_CLOSE)


def request_framing(fields: Fields, minor: int) -> Framing:
    """Framing of a request's body (router.md, HTTP); raises BadMessage."""
    framing = _declared(fields, minor)
    if framing is None or (framing.kind is BodyKind.LENGTH and not framing.length):
        return NO_BODY
    return framing


def response_framing(fields: Fields, minor: int, status: int, method: bytes) -> Framing:
    """Framing of the response to a `method` request; raises BadMessage."""
    if status < 200 or status == 204:  # noqa: PLR2004 - the HTTP statuses themselves
        return NO_BODY  # RFC 9112 §6.3: whatever the fields say
    framing = _declared(fields, minor)
    if method == b"HEAD" or status in _BODILESS:
        return NO_BODY
    return UNTIL_CLOSE if framing is None else framing


def _declared(fields: Fields, minor: int) -> Framing | None:
    codings = values(fields, b"transfer-encoding")
    lengths = values(fields, b"content-length")
    if codings:
        if lengths:
            raise BadMessage("both Content-Length and Transfer-Encoding")
        if minor == 0:
            raise BadMessage("Transfer-Encoding in an HTTP/1.0 message")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadMessage("a transfer coding other than chunked")
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) > 1:
        raise BadMessage("more than one Content-Length")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise BadMessage("Content-Length is not a number")
    return Framing(BodyKind.LENGTH, int(lengths[0]))
