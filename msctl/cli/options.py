"""Options and arguments of the commands that only people use, as typer annotations."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli import grammar
from msctl.cli.completion import complete_services
from msctl.cli.project import Project

Action = Callable[[], int]
"""What a command does once the whole command line was understood; returns the exit code."""

FileOption = Annotated[
    list[Path] | None,
    typer.Option(
        *grammar.FILE.flags,
        metavar=grammar.FILE.metavar,
        help=grammar.FILE.help,
        path_type=str,
    ),
]
ServicesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar=grammar.SERVICES.metavar,
        show_default=False,
        autocompletion=complete_services,
        help=grammar.SERVICES.help,
    ),
]


def project_of(context: typer.Context, files: Sequence[Path] | None) -> Project:
    """Return the project that the options before and after the command's name describe."""
    return Project([*(context.obj or ()), *map(str, files or ())])
