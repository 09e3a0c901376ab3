"""Makes typer commands of the grammar: the parser for people, with help and completion."""

import inspect
import math
from collections.abc import Callable
from enum import Enum
from os import fspath
from pathlib import Path
from typing import Annotated, Any

import typer

from msctl.cli import grammar
from msctl.cli.argv import Invocation, Value
from msctl.cli.completion import complete_services
from msctl.cli.dispatch import carry_out
from msctl.cli.grammar import Argument, Command, Option
from msctl.cli.options import Action

Runner = Callable[[Invocation], Action]


def _seconds(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter("must be a number of seconds above 0")
    return value


def deferred(invocation: Invocation) -> Action:
    """Return what carries the command out once the whole line was understood."""
    return lambda: carry_out(invocation)


def add_command(app: typer.Typer, command: Command, runner: Runner = deferred) -> None:
    """Add a command, and under its other name too; `runner` makes an action of what it gets."""
    function = typed(command, runner)
    app.command(command.name, help=command.help)(function)
    if command.alias is not None:
        app.command(command.alias, help=command.help, hidden=True)(function)


def typed(command: Command, runner: Runner) -> Callable[..., Action]:
    """Return a function with the signature that typer reads the command's options from."""

    def function(context: typer.Context, **given: Any) -> Action:
        values = {
            **{a.name: _plain(given[a.name], a.times) for a in command.arguments},
            **{o.name: _plain(given[o.name], o.kind) for o in command.options},
        }
        own = values.pop("file", ())
        files = [*(context.obj or ()), *(own if isinstance(own, tuple) else ())]
        return runner(Invocation(command.name, values, tuple(map(str, files))))

    parameters = [_parameter("context", typer.Context, inspect.Parameter.empty)]
    parameters += [_argument(argument) for argument in command.arguments]
    parameters += [option_parameter(option) for option in command.options]
    function.__name__ = command.name
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def option_parameter(option: Option) -> inspect.Parameter:
    """Return an option as typer wants it in a signature."""
    extra: dict[str, Any] = {}
    kind: Any = str | None
    default: Any = None
    match option.kind:
        case grammar.FLAG:
            kind, default = bool, False
        case grammar.TEXTS:
            kind = list[str] | None
        case grammar.PATH:
            kind, extra["path_type"] = Path | None, str
        case grammar.PATHS:
            kind, extra["path_type"] = list[Path] | None, str
        case grammar.SECONDS:
            kind, extra["callback"] = float | None, _seconds
        case grammar.COUNT:
            kind, extra["min"] = int | None, 0
        case grammar.CHOICE:
            choices = {choice: choice for choice in option.choices}
            kind = Enum(option.name, choices)  # type: ignore[misc, no-redef]
            default = kind(option.choices[0])
    info = typer.Option(*option.flags, metavar=option.metavar, help=option.help, **extra)
    return _parameter(option.name, Annotated[kind, info], default)


def _argument(argument: Argument) -> inspect.Parameter:
    extra: dict[str, Any] = {}
    if argument.services:
        extra["autocompletion"] = complete_services
    if argument.times != grammar.ONE:
        extra["show_default"] = False
    kind: Any = {
        grammar.ONE: str,
        grammar.OPTIONAL: str | None,
        grammar.ANY: list[str] | None,
        grammar.SOME: list[str],
    }[argument.times]
    required = argument.times in {grammar.ONE, grammar.SOME}
    info = typer.Argument(metavar=argument.metavar, help=argument.help, **extra)
    default = inspect.Parameter.empty if required else None
    return _parameter(argument.name, Annotated[kind, info], default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=annotation)


def _plain(value: Any, kind: str) -> Value:
    """Return a value as `msctl.cli.argv` gives it."""
    if kind in {grammar.TEXTS, grammar.PATHS, grammar.ANY, grammar.SOME}:
        return tuple(fspath(item) for item in value or ())
    if isinstance(value, Enum):
        return str(value.value)
    plain: Value = fspath(value) if isinstance(value, Path) else value
    return plain
