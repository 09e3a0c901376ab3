"""Durations as people write and read them."""

import re
from datetime import datetime

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)([smhd]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def age(seconds: float) -> str:
    """Return a duration in its two largest units: `41s`, `5m 3s`, `2d 4h`."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def span(text: str) -> float | None:
    """Return the seconds of `90`, `5m` or `1h30m`; None when it is not a duration."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not _SPAN.fullmatch(text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def moment(text: str, now: float) -> float | None:
    """Return the time that `5m` (ago) or an ISO 8601 date means, in epoch seconds.

    A date without a zone is in the local one, as a person at this machine means it.
    """
    if (seconds := span(text)) is not None:
        return now - seconds
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
