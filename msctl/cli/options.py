"""Options and arguments that several commands share, as typer annotations."""

import math
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli.completion import complete_services
from msctl.cli.project import Project
from msctl.errors import UsageError

FileOption = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", metavar="PATH", help="Config file or directory; may be repeated."),
]
LongFileOption = Annotated[
    list[Path] | None,
    typer.Option("--file", metavar="PATH", help="Config file or directory; may be repeated."),
]
ServicesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SERVICE]...",
        show_default=False,
        autocompletion=complete_services,
        help="Services; all when none is named.",
    ),
]


def _seconds(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter("must be a number of seconds above 0")
    return value


TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="S", callback=_seconds, help="Give up after this many seconds."
    ),
]


def project_of(context: typer.Context, files: list[Path] | None) -> Project:
    """Return the project that the options before and after the command's name describe."""
    return Project([*(context.obj or ()), *(files or ())])


def scales(values: list[str] | None) -> dict[str, int]:
    """Read NAME=N options; raises UsageError."""
    result: dict[str, int] = {}
    for value in values or ():
        name, equals, count = value.partition("=")
        if not (name and equals and count.isascii() and count.isdigit()):
            raise UsageError(f"--scale {value}: give it as NAME=N, such as order-service=3")
        result[name] = int(count)
    return result
