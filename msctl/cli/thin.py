"""The short way: a plain command line is carried out without the parser for people."""

import os

from msctl.cli import streams
from msctl.cli.argv import Unusual, parse
from msctl.cli.dispatch import carry_out
from msctl.cli.guard import guarded

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPLETION = "_MSCTL_COMPLETE"
"""With it the shell asks what could come next; that is the other parser's."""


def main(arguments: "Sequence[str]") -> int | None:
    """Carry out the command line and return its exit code; None when it is not plain."""
    if _COMPLETION in os.environ:
        return None
    try:
        invocation = parse(arguments)
    except Unusual:
        return None
    streams.prepare()
    return guarded(lambda: carry_out(invocation))
