"""Makes typer commands of the grammar: the parser for people, with help and completion."""

import inspect
import math
from collections.abc import Callable
from enum import Enum
from os import fspath
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from msctl.cli import grammar
from msctl.cli.argv import Invocation, Value, invocation
from msctl.cli.completion import complete_services
from msctl.cli.dispatch import carry_out
from msctl.cli.grammar import Argument, Command, Option
from msctl.cli.options import Action, given_before
from msctl.errors import UsageError

Runner = Callable[[Invocation], Action]

_END_OF_OPTIONS = "--"
_REST = f"{__name__}.rest"
"""The key in the context for what follows it."""


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
    rest = [argument for argument in command.arguments if argument.times == grammar.REST]
    kind = TakesRest if rest else None
    app.command(command.name, cls=kind, help=command.help)(function)
    if command.alias is not None:
        app.command(command.alias, help=command.help, hidden=True)(function)


def typed(command: Command, runner: Runner) -> Callable[..., Action]:
    """Return a function with the signature that typer reads the command's options from."""

    def function(context: typer.Context, **given: Any) -> Action:
        values = {
            **{a.name: _plain(_given(a, given, context), a.times) for a in command.arguments},
            **{o.name: _plain(given[o.name], o.kind) for o in command.options},
        }
        before = given_before(context)
        return runner(invocation(command, values, before.files, before.project))

    parameters = [_parameter("context", typer.Context, inspect.Parameter.empty)]
    parameters += [_argument(a) for a in command.arguments if a.times != grammar.REST]
    parameters += [option_parameter(option) for option in command.options]
    function.__name__ = command.name
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


class TakesRest(TyperCommand):
    """A command whose line ends with `--` and another command, which is none of its business."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what follows `--` for `_given`; raises UsageError when nothing does."""
        index = args.index(_END_OF_OPTIONS) if _END_OF_OPTIONS in args else len(args)
        before, rest = args[:index], args[index + 1 :]
        if not rest and not ctx.resilient_parsing and not {*ctx.help_option_names} & {*before}:
            path = ctx.command_path
            raise UsageError(
                f"give the command after --, such as: {path} … -- env (see: {path} --help)"
            )
        ctx.meta[_REST] = tuple(rest)
        return super().parse_args(ctx, before)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands behind `Usage:`."""
        return [*super().collect_usage_pieces(ctx), _END_OF_OPTIONS, "COMMAND..."]


def _given(argument: Argument, given: dict[str, Any], context: typer.Context) -> Any:
    return context.meta[_REST] if argument.times == grammar.REST else given[argument.name]


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
    if kind in {grammar.TEXTS, grammar.PATHS, grammar.ANY, grammar.SOME, grammar.REST}:
        return tuple(fspath(item) for item in value or ())
    if isinstance(value, Enum):
        return str(value.value)
    plain: Value = fspath(value) if isinstance(value, Path) else value
    return plain
