"""Names of fleets, with strings only: any command may be given one."""

LONGEST = 63
_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_REST = _FIRST | frozenset("_.-")
_SUBSTITUTE = "fleet"


def is_project_name(text: str) -> bool:
    """Whether a fleet may have this name: what `project:` in a configuration takes."""
    return len(text) <= LONGEST and text[:1] in _FIRST and _REST.issuperset(text)


def derived_name(base: str, suffix: str) -> str:
    """Return the name of a fleet beside the one called `base`, which may be any text."""
    plain = "".join(letter if letter in _REST else "-" for letter in base).lstrip("_.-")
    return (plain or _SUBSTITUTE)[: LONGEST - len(suffix)] + suffix
