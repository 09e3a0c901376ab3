"""A YAML file of another tool, as plain values: texts, lists and mappings."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msctl.config.drafting.sketch import Untranslatable
from msctl.config.nodes import plain
from msctl.config.reader import Unreadable, parse_tree

Tree = Mapping[str, object]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)?")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def read_yaml(text: str, file: Path) -> Tree:
    """Return the mapping that the file holds; raises Untranslatable."""
    try:
        node = parse_tree(text, file)
    except Unreadable as error:
        line = f"line {error.problem.line}: " if error.problem.line else ""
        raise Untranslatable(f"{line}{error.problem.message}") from None
    value = None if node is None else plain(node)
    if not isinstance(value, dict):
        raise Untranslatable("holds no mapping of services")
    return value


def tree(value: object) -> Tree:
    """Return a mapping as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str | None:
    """Return a text as it is, None for anything else."""
    return value if isinstance(value, str) else None


def texts(value: object) -> list[str]:
    """Return a list's texts; one text is a list of it."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def pairs(value: object) -> Iterator[tuple[str, str | None]]:
    """Yield the variables of an environment, given as a mapping or as a list of `K=V`."""
    if isinstance(value, dict):
        yield from ((str(name), text(item)) for name, item in value.items())
        return
    for item in texts(value):
        name, equals, content = item.partition("=")
        yield name, content if equals else None


def is_true(value: object) -> bool:
    """Whether a switch is on."""
    return str(value).lower() in {"true", "yes", "on"}


def seconds(value: object) -> float | None:
    """Return a duration such as 1m30s, 500ms or 5; None for what is none."""
    given = str(value)
    parts = _DURATION.findall(given)
    if not parts or "".join(number + unit for number, unit in parts) != given:
        return None
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return round(total, 6) or None


def whole(value: object, least: int = 1, most: int = 1_000_000) -> int | None:
    """Return a whole number within these bounds, None for anything else."""
    given = str(value)
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= 7 else -1  # noqa: PLR2004 - the digits of `most`
    return number if least <= number <= most else None


def number(given: str) -> str | float:
    """Return a text as the number that it is, if it is a plain one."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", given):
        return given
    return float(given) if "." in given else int(given)


def shown(key: str, value: object) -> str:
    """Return a key and its value in a few words, for a note."""
    if isinstance(value, str):
        return f"{key}: {value}"
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return f"{key}: [{', '.join(value)}]"
    return key
