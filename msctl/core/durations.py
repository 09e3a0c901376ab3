"""Spans of time as sentences give them."""

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_SHORT = 10.0
"""Seconds below which tenths matter."""


def in_words(seconds: float) -> str:
    """Return a span in its two largest units: `0.4 s`, `41 s`, `5 min 3 s`, `2 d 4 h`."""
    if seconds < _SHORT:
        return f"{max(0.0, round(seconds, 1)):g} s"
    rest, parts = int(seconds), list[str]()
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])
