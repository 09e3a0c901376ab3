"""`msctl breaker`: the circuit breakers, shown and taken in hand."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from msctl.cli import streams
from msctl.cli.completion import complete_breakers
from msctl.cli.options import (
    Action,
    FileOption,
    ProjectOption,
    given_before,
    on_fleet,
    project_of,
)
from msctl.cli.project import Project
from msctl.errors import UsageError
from msctl.exitcodes import ExitCode
from msctl.render.breaker_table import breaker_lines
from msctl.render.units import span

_PATIENCE = 30.0  # seconds; only a daemon that was suspended takes that long

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME[/INSTANCE]",
        show_default=False,
        autocompletion=complete_breakers,
        help="A service with all its instances, or one instance.",
    ),
]
ForOption = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="Only for so long: 30s, 5m; then auto again."),
]


def group() -> typer.Typer:
    """Return the commands below `msctl breaker`."""
    app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
    app.callback()(table)
    app.command("open")(open_)
    app.command("close")(close)
    app.command("auto")(auto)
    app.command("reset")(reset)
    return app


def table(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action | None:
    """Show the circuit breakers, or take them in hand."""
    if context.invoked_subcommand is not None:
        context.obj = given_before(context).also(file, project)
        return None

    def show(fleet: Project) -> int:
        document = fleet.client.fetch("GET", "/breakers", timeout=_PATIENCE)
        return _show(document, as_json=as_json)

    return on_fleet(project_of(context, file, project), show)


def open_(
    context: typer.Context,
    name: NameArgument,
    *,
    time: ForOption = None,
    as_json: JsonOption = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action:
    """Let no call pass, until told otherwise or for some time."""
    return _command(context, (file, project), "open", name, time, as_json=as_json)


def close(
    context: typer.Context,
    name: NameArgument,
    *,
    time: ForOption = None,
    as_json: JsonOption = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action:
    """Let every call pass, until told otherwise or for some time."""
    return _command(context, (file, project), "close", name, time, as_json=as_json)


def auto(
    context: typer.Context,
    name: NameArgument,
    *,
    as_json: JsonOption = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action:
    """Let a breaker decide by itself again: ends what open and close did."""
    return _command(context, (file, project), "auto", name, as_json=as_json)


def reset(
    context: typer.Context,
    name: NameArgument,
    *,
    as_json: JsonOption = False,
    file: FileOption = None,
    project: ProjectOption = None,
) -> Action:
    """Close a breaker and forget everything that it has counted."""
    return _command(context, (file, project), "reset", name, as_json=as_json)


def _command(
    context: typer.Context,
    where: tuple[list[Path] | None, str | None],
    action: str,
    name: str,
    time: str | None = None,
    *,
    as_json: bool,
) -> Action:
    fleet = project_of(context, *where)
    body = {"name": name, "for": _seconds(time)}
    # `breaker --json open NAME` means the same as `breaker open NAME --json`.
    as_json = as_json or bool(context.parent and context.parent.params.get("as_json"))

    def act(fleet: Project) -> int:
        document = fleet.client.fetch("POST", f"/breakers/{action}", body, timeout=_PATIENCE)
        return _show(document, as_json=as_json)

    return on_fleet(fleet, act)


def _seconds(time: str | None) -> float | None:
    if time is None:
        return None
    seconds = span(time)
    if seconds is None or not (0 < seconds < math.inf):
        raise UsageError(f"--for {time}: give a duration above 0, such as 30s, 5m or 1.5")
    return seconds


def _show(document: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        streams.write(json.dumps(document, indent=2, ensure_ascii=False))
        return ExitCode.OK
    decorated = streams.is_decorated(sys.stdout)
    for line in breaker_lines(document, width=streams.stdout_width(), decorated=decorated):
        streams.write(line)
    return ExitCode.OK
