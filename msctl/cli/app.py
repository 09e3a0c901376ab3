"""The typer app: every command line, with help, completion and messages; for people."""

import sys
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from msctl.cli import (
    breaker,
    doctor,
    grammar,
    graph,
    init,
    inspection,
    projects,
    schema,
    streams,
    why,
)
from msctl.cli.guard import guarded
from msctl.cli.options import Action, Before, FileOption, ProjectOption
from msctl.cli.typed import Runner, add_command, deferred
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
    file: FileOption = None,
    project: ProjectOption = None,
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """Run a fleet of services on this machine as if it were a cluster."""
    context.obj = Before().also(file, project)


def build(runner: Runner = deferred) -> typer.Typer:
    """Return the app with all commands; `runner` makes an action of one of the grammar's."""
    app = typer.Typer(
        name=PROGRAM,
        callback=_globals,
        rich_markup_mode=None,  # plain help: quick, and the same on a pipe
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    for command in grammar.COMMANDS:
        add_command(app, command, runner)
    app.add_typer(breaker.group(), name="breaker")
    app.command("validate")(inspection.validate)
    app.command("graph")(graph.command)
    app.command("projects")(projects.command)
    app.command("why")(why.command)
    app.command("doctor")(doctor.command)
    app.command("schema")(schema.command)
    app.command("init")(init.command)
    app.command("version")(inspection.version)
    return app


def parse(arguments: Sequence[str], runner: Runner = deferred) -> Action:
    """Return what the command line asks for; raises UsageError when it asks for nothing known."""
    try:
        outcome = build(runner)(
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

    return guarded(carry_out)


def _explain(problem: Exception) -> str:
    message = str(getattr(problem, "format_message", problem.__str__)())
    context = getattr(problem, "ctx", None)
    path = context.command_path if context else PROGRAM
    return f"{message} (see: {path} --help)"
