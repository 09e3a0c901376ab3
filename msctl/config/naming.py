"""Names of services as people type them."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

from msctl.errors import UnknownService

_LIKENESS = 0.35
"""Low on purpose: people shorten names, and `usr` should find `user-service`."""


def nearest_service(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=_LIKENESS)), None)


def choose_services(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the services that are named, each once; a pattern such as `pay*` names several.

    Raises UnknownService, with the nearest name, for the first that is or matches none.
    """
    known = list(known)
    chosen: dict[str, None] = {}
    for name in names:
        found = [each for each in known if fnmatchcase(each, name)] if is_pattern(name) else [name]
        if not found or found[0] not in known:
            raise UnknownService(name, nearest_service(name, known))
        chosen.update(dict.fromkeys(found))
    return tuple(chosen)


def check_services(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise UnknownService, with the nearest name, for the first that is not known."""
    choose_services(names, known)


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern: no service's own name has these characters."""
    return any(character in name for character in "*?[")
