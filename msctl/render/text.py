"""Text that others have written, made fit to be shown."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def one_line(text: str) -> str:
    """Make foreign text fit for one line of a table: no line ends, no control sequences."""
    return _CONTROL.sub(" ", text).strip()
