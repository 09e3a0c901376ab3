"""Ids that tie one call's log lines together: X-Request-Id and W3C Trace Context."""

import re
from binascii import hexlify
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from msctl.proxy.fields import Fields, values

_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = b"01"
"""A trace that begins here is recorded: nobody before could have decided against it."""


_NEVER_ZERO: Final = 1 << 192 | 1 << 128 | 1
"""A bit in each of the three ids: W3C forbids that one is all zero."""


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

    def draw_three(self) -> bytes:
        """Return a trace id, a parent id and a request id at once, 32, 16 and 32 hex digits."""
        return hexlify((self._bits.getrandbits(320) | _NEVER_ZERO).to_bytes(40))


class GivenIds(IdSource):
    """Draws ids that were drawn before, then new ones."""

    def __init__(self, given: Iterable[bytes], then: IdSource) -> None:
        self._given = list(given)
        self._then = then

    def draw(self, length: int) -> bytes:
        """Return the next given id, which is of the length that is asked for, or a new one."""
        return self._given.pop(0) if self._given else self._then.draw(length)


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
