"""Reads plain command lines; whatever is unusual about one it leaves to the typer app.

It understands less than typer on purpose: every line that it takes means the same to both.
"""

from msctl.cli import grammar
from msctl.cli.grammar import Argument, Command, Option

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Sequence

Value = str | bool | int | float | tuple[str, ...] | None
Values = dict[str, Value]

_LONGEST_NUMBER = 9
"""Digits; a longer one is a mistake, and the other parser says so."""


class Invocation:
    """A command as it was asked for: every argument and option of its grammar has a value."""

    __slots__ = ("command", "files", "project", "values")

    def __init__(
        self, command: str, values: Values, files: tuple[str, ...], project: str | None = None
    ) -> None:
        self.command = command
        self.values = values
        self.files = files
        """Those of `-f`, before and after the command's name."""
        self.project = project
        """That of `-p`; the one after the command's name counts."""

    def flag(self, name: str) -> bool:
        """Return whether a FLAG is given."""
        value = self.values[name]
        assert isinstance(value, bool)
        return value

    def text(self, name: str) -> str | None:
        """Return a TEXT, PATH or CHOICE, or an argument that is there once at most."""
        value = self.values[name]
        assert value is None or isinstance(value, str)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return TEXTS, or an argument that may be there several times."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    def seconds(self, name: str) -> float | None:
        """Return SECONDS."""
        value = self.values[name]
        assert value is None or isinstance(value, float)
        return value

    def count(self, name: str) -> int | None:
        """Return a COUNT."""
        value = self.values[name]
        assert value is None or isinstance(value, int)
        return value

    def __repr__(self) -> str:
        """Show everything."""
        facts = (self.command, self.values, self.files, self.project)
        return f"Invocation{facts!r}"


class Unusual(Exception):
    """The line is not plain."""


def parse(argv: "Sequence[str]") -> Invocation:
    """Return what the line asks for; raise Unusual when it is not plain."""
    if not all(argv) or not _is_text(argv):
        raise Unusual
    files: list[str] = []
    project: str | None = None
    rest = list(argv)
    while rest and rest[0].startswith("-"):
        option, value = _option(grammar.COMMON, rest)
        if option is grammar.FILE:
            files.append(str(value))
        else:
            project = str(value)
    if not rest:
        raise Unusual
    name = rest.pop(0)
    command = next((c for c in grammar.COMMANDS if name in (c.name, c.alias)), None)
    if command is None:
        raise Unusual
    values = _defaults(command)
    positional = _options(command, rest, values)
    _distribute(command.arguments, positional, values)
    return invocation(command, values, files, project)


def invocation(
    command: Command, values: Values, files: "Sequence[str]", project: str | None
) -> Invocation:
    """Return what is asked for with these values, and what stood before the command's name."""
    own_files, own_project = values.pop("file"), values.pop("project", None)
    assert isinstance(own_files, tuple)
    assert own_project is None or isinstance(own_project, str)
    return Invocation(
        command.name, values, (*files, *own_files), project if own_project is None else own_project
    )


def _is_text(argv: "Sequence[str]") -> bool:
    try:
        "".join(argv).encode()
    except UnicodeEncodeError:
        return False
    return True


def _defaults(command: Command) -> Values:
    values: Values = {}
    for option in command.options:
        if option.kind == grammar.FLAG:
            values[option.name] = False
        elif option.kind in (grammar.TEXTS, grammar.PATHS):
            values[option.name] = ()
        else:
            values[option.name] = option.choices[0] if option.choices else None
    return values


def _options(command: Command, rest: "list[str]", values: Values) -> "list[str]":
    """Take the options out of the line, and a REST argument; return the other arguments."""
    positional: list[str] = []
    last = command.arguments[-1]
    while rest:
        if rest[0] == "--":
            if last.times == grammar.REST:
                values[last.name] = tuple(rest[1:])
            else:
                positional += rest[1:]
            break
        if len(rest[0]) == 1 or not rest[0].startswith("-"):
            positional.append(rest.pop(0))
            continue
        option, value = _option(command.options, rest)
        before = values[option.name]
        values[option.name] = (*before, str(value)) if isinstance(before, tuple) else value
    return positional


def _option(options: "tuple[Option, ...]", rest: "list[str]") -> "tuple[Option, Value]":
    """Take the option that the line begins with, and its value."""
    word = rest.pop(0)
    if word.startswith("--"):
        flag, attached, text = word.partition("=")
    else:
        flag, text = word[:2], word[2:]
        attached = text
    option = next((o for o in options if flag in o.flags), None)
    if option is None:
        raise Unusual
    if option.kind == grammar.FLAG:
        if attached:
            raise Unusual
        return option, True
    if not attached:
        if not rest:
            raise Unusual
        text = rest.pop(0)
    if not text or text[0] in "-=":
        raise Unusual
    return option, _value(option, text)


def _value(option: Option, text: str) -> Value:
    if option.kind == grammar.COUNT:
        return int(_digits(text))
    if option.kind == grammar.SECONDS:
        whole, _, part = text.partition(".")
        seconds = float(f"{_digits(whole)}.{_digits(part) if part else 0}")
        if text.endswith(".") or seconds == 0:
            raise Unusual
        return seconds
    if option.kind == grammar.CHOICE and text not in option.choices:
        raise Unusual
    return text


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise Unusual
    return text


def _distribute(arguments: "tuple[Argument, ...]", given: "list[str]", values: Values) -> None:
    """Give the arguments their names."""
    for argument in arguments:
        if argument.times == grammar.REST:
            if not values.get(argument.name):
                raise Unusual
            continue
        if argument.times in (grammar.ANY, grammar.SOME):
            if argument.times == grammar.SOME and not given:
                raise Unusual
            values[argument.name], given = tuple(given), []
            continue
        if not given and argument.times == grammar.ONE:
            raise Unusual
        values[argument.name] = given.pop(0) if given else None
    if given:
        raise Unusual
