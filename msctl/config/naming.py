"""Names of services as people type them."""

from collections.abc import Iterable
from difflib import get_close_matches

from msctl.errors import UnknownService

_LIKENESS = 0.35
"""Low on purpose: people shorten names, and `usr` should find `user-service`."""


def nearest_service(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=_LIKENESS)), None)


def check_services(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise UnknownService, with the nearest name, for the first that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            raise UnknownService(name, nearest_service(name, known))
