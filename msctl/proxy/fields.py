"""Header fields as they stood on the wire, and the few questions that a proxy asks of them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
TEXT: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
FIELD_LINES: Final = rb"(?:" + TOKEN + rb":" + TEXT + rb"\r\n)*+"
"""Whole field lines only: no folding, no space before the colon, no control character."""

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Meant for one connection only (RFC 9110 §7.6.1); never forwarded as they came."""

_PROTECTED: Final = frozenset({b"content-length", b"host"})
"""`Connection` cannot take these away: the message would change its meaning on the way."""


class Field(NamedTuple):
    """One field line."""

    name: bytes
    """In lower case."""
    value: bytes
    """Without the white space around it."""
    line: bytes
    """As it was received, without its line end: what is forwarded."""


Fields = tuple[Field, ...]


def parse_fields(block: bytes) -> Fields:
    """Split a block that matched FIELD_LINES."""
    parsed = []
    for line in block.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b":")
            parsed.append(Field(name.lower(), value.strip(b" \t"), line))
    return tuple(parsed)


def values(fields: Fields, name: bytes) -> list[bytes]:
    """Every value of the field, in order; `name` in lower case."""
    return [field.value for field in fields if field.name == name]


def tokens(fields: Fields, name: bytes) -> frozenset[bytes]:
    """Return the members of a comma-separated field, in lower case, over all its lines."""
    return frozenset(
        token
        for value in values(fields, name)
        for part in value.split(b",")
        if (token := part.strip(b" \t").lower())
    )


def forwardable(fields: Fields, replaced: frozenset[bytes]) -> Iterable[Field]:
    """Return what goes on to the next hop: all but hop-by-hop fields, nominated and replaced ones."""
    dropped = HOP_BY_HOP | replaced
    if nominated := tokens(fields, b"connection"):
        dropped |= nominated - _PROTECTED
    return (field for field in fields if field.name not in dropped)


def render(fields: Iterable[Field]) -> bytes:
    """Return the lines as they were received, each with its line end."""
    return b"".join([field.line + b"\r\n" for field in fields])
