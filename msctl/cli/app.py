"""The typer app: every command's options, nothing of what the commands do."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from msctl.cli import (
    breaker,
    call,
    events,
    graph,
    inspection,
    lifecycle,
    logs,
    status,
    stop,
    streams,
    up,
)
from msctl.cli.errors import Action, run
from msctl.errors import UsageError

PROGRAM = "msctl"
_UsageProblem = cast("type[Exception]", typer.BadParameter.__base__)
"""What the parser raises for a wrong command line; it has no public name of its own."""


def _show_version(value: bool) -> None:  # noqa: FBT001  typer's form of a callback
    if value:
        streams.write(inspection.version_text())
        raise typer.Exit


def _globals(
    context: typer.Context,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", "-f", metavar="PATH", help="Config file or directory; may be repeated."
        ),
    ] = None,
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """Run a fleet of services on this machine as if it were a cluster."""
    context.obj = file or []


def build() -> typer.Typer:
    """Return the app with all commands."""
    app = typer.Typer(
        name=PROGRAM,
        callback=_globals,
        rich_markup_mode=None,  # plain help: quick, and the same on a pipe
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.command("up")(up.command)
    app.command("status")(status.command)
    app.command("ps", hidden=True)(status.command)
    app.command("call")(call.command)
    app.command("logs")(logs.command)
    app.command("stop")(stop.command)
    app.command("down", hidden=True)(stop.command)
    app.command("start")(lifecycle.start)
    app.command("restart")(lifecycle.restart)
    app.command("wait")(lifecycle.wait)
    app.command("events")(events.command)
    app.add_typer(breaker.group(), name="breaker")
    app.command("validate")(inspection.validate)
    app.command("graph")(graph.command)
    app.command("version")(inspection.version)
    return app


def parse(arguments: Sequence[str]) -> Action:
    """Return what the command line asks for; raises UsageError when it asks for nothing known."""
    try:
        outcome = build()(
            args=list(arguments) or ["--help"], prog_name=PROGRAM, standalone_mode=False
        )
    except _UsageProblem as problem:
        raise UsageError(_explain(problem)) from None
    return outcome if callable(outcome) else lambda: int(outcome or 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    given = sys.argv[1:] if arguments is None else arguments

    def carry_out() -> int:
        action = parse(given)
        return action()

    return run(carry_out)


def _explain(problem: Exception) -> str:
    message = str(getattr(problem, "format_message", problem.__str__)())
    context = getattr(problem, "ctx", None)
    path = context.command_path if context else PROGRAM
    return f"{message} (see: {path} --help)"
