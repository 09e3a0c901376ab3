"""Options and arguments of the commands that only people use, as typer annotations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli import grammar
from msctl.cli.completion import complete_services
from msctl.cli.project import Project
from msctl.errors import NoDaemon

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
ProjectOption = Annotated[
    str | None,
    typer.Option(
        *grammar.PROJECT.flags,
        metavar=grammar.PROJECT.metavar,
        help=grammar.PROJECT.help,
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


@dataclass(frozen=True, slots=True)
class Before:
    """The options that stand before the command's name."""

    files: tuple[str, ...] = ()
    project: str | None = None

    def also(self, files: Sequence[Path] | None, project: str | None) -> "Before":
        """Return these and what stands further behind; files add up, the last name counts."""
        behind = self.project if project is None else project
        return Before((*self.files, *map(str, files or ())), behind)


def given_before(context: typer.Context) -> Before:
    """Return the options before the command's name."""
    return context.obj if isinstance(context.obj, Before) else Before()


def project_of(
    context: typer.Context, files: Sequence[Path] | None, name: str | None = None
) -> Project:
    """Return the fleet that the options before and after the command's name describe."""
    given = given_before(context).also(files, name)
    return Project(given.files, given.project)


def on_fleet(project: Project, action: Callable[[Project], int]) -> Action:
    """Return what carries the action out on a fleet, which is named where it does not run."""

    def carry_out() -> int:
        try:
            return action(project)
        except NoDaemon:
            raise NoDaemon(project.name) from None

    return carry_out
