"""Ids that tie one call's log lines together: X-Request-Id and W3C Trace Context."""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from msctl.proxy.fields import Fields, values

_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = b"01"
"""A trace that begins here is recorded: nobody before could have decided against it."""


class BitSource(Protocol):
    """Where ids come from; `random.Random` is one."""

    def getrandbits(self, k: int, /) -> int:
        """Return a number of `k` random bits."""
        ...


class IdSource:
    """Draws ids that need to be unique, not secret."""

    def __init__(self, bits: BitSource) -> None:
        self._bits = bits

    def draw(self, length: int) -> bytes:
        """`length` bytes, as hex digits, never all zero: W3C forbids that."""
        return b"%0*x" % (2 * length, self._bits.getrandbits(8 * length) or 1)


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that a call belongs to."""

    trace_id: bytes
    flags: bytes
    inherited: bool
    """The caller began it; when not, a `tracestate` of the caller's means nothing."""

    def parent(self, ids: IdSource) -> bytes:
        """Return a `traceparent` for one attempt: same trace, new parent."""
        return b"00-%b-%b-%b" % (self.trace_id, ids.draw(8), self.flags)


def trace_of(fields: Fields, ids: IdSource) -> Trace:
    """Return the caller's trace, or a new one when it sent none that is valid."""
    sent = values(fields, b"traceparent")
    found = _TRACEPARENT.fullmatch(sent[0]) if len(sent) == 1 else None
    if found is None or (found[1] == b"00" and found[4]):
        return Trace(ids.draw(16), _SAMPLED, inherited=False)
    return Trace(found[2], found[3], inherited=True)
