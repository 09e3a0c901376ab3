"""The few colours there are, and what each of them means."""

_RESET = "\x1b[0m"


class Style:
    """Meanings; each is an ANSI sequence, in the terminal's own palette.

    Not an enum because of start-up time: `call` and `logs` need it, and `enum` costs 1 ms.
    """

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
