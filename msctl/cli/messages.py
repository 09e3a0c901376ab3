"""Errors and warnings in one form."""

import sys

from msctl.cli import streams
from msctl.render.style import Style, paint


def complain(message: str) -> None:
    """Write an error message."""
    streams.say(f"{_painted('error:', Style.BAD)} {message}")


def warn(message: str) -> None:
    """Write a warning."""
    streams.say(f"{_painted('warning:', Style.CAUTION)} {message}")


def _painted(word: str, style: str) -> str:
    return paint(word, style, decorated=streams.is_decorated(sys.stderr))
