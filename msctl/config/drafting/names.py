"""Names that the configuration accepts, from whatever a source calls its services."""

import re
from collections.abc import Container

from msctl.config.values import RESERVED_NAMES

_LONGEST = 63
_FALLBACK = "service"


def valid_name(text: str) -> str:
    """Return the nearest name that the configuration accepts."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name:
        return _FALLBACK
    if not "a" <= name[0] <= "z" or name in RESERVED_NAMES:
        name = f"{_FALLBACK}-{name}" if name not in RESERVED_NAMES else f"{name}-{_FALLBACK}"
    return name[:_LONGEST].rstrip("-")


def distinct_name(name: str, taken: Container[str]) -> str:
    """Return the name, or the first of NAME-2, NAME-3, … that is not taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        ending = f"-{number}"
        candidate = name[: _LONGEST - len(ending)].rstrip("-") + ending
    return candidate
