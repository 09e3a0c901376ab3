"""The few colours there are, and what each of them means."""

import re
from enum import StrEnum

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_RESET = "\x1b[0m"


class Style(StrEnum):
    """A meaning; the value is its ANSI sequence, in the terminal's own palette."""

    PLAIN = ""
    GOOD = "\x1b[32m"
    CAUTION = "\x1b[33m"
    BAD = "\x1b[31m"
    QUIET = "\x1b[2m"
    STRONG = "\x1b[1m"


SERVICE_COLOURS = tuple(f"\x1b[{code}m" for code in (36, 33, 32, 35, 34, 96, 93, 92, 95, 94))
"""Told apart in the prefix of log lines; red is left for failures."""


def paint(text: str, style: str, *, decorated: bool) -> str:
    """Return the text in a style (a sequence), or as it is where colour is not welcome."""
    return f"{style}{text}{_RESET}" if decorated and style and text else text


def one_line(text: str) -> str:
    """Make foreign text fit for one line of a table: no line ends, no control sequences."""
    return _CONTROL.sub(" ", text).strip()
