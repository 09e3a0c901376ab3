"""Retry-After, in the two forms that it may have (RFC 9110 §10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from msctl.proxy.fields import Fields, values

_MAX_DIGITS: Final = 9


def retry_after(fields: Fields, wall: float) -> float | None:
    """Return seconds from now, never negative; `wall` is the time of day, which a date refers to."""
    sent = values(fields, b"retry-after")
    if not sent:
        return None
    if sent[0].isdigit():
        return float(sent[0][:_MAX_DIGITS])
    try:
        date = parsedate_to_datetime(sent[0].decode("latin-1"))
    except ValueError:
        return None
    # A date without a zone is GMT, the only zone that HTTP knows.
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - wall)
