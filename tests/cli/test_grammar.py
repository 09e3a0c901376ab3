"""One definition of the options, two parsers: what the quick one takes means the same to both."""

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msctl.cli import grammar
from msctl.cli.app import parse as parse_for_people
from msctl.cli.argv import Invocation, Unusual, parse
from msctl.cli.grammar import Command, Option
from msctl.errors import UsageError

VALUES = {
    grammar.TEXT: ["x", "a=b", "5m", "2026-01-01"],
    grammar.TEXTS: ["x", "a=b", "K: V", "user-service=3"],
    grammar.PATH: ["out.json", "./out", "a//b"],
    grammar.PATHS: ["configs", "./configs/", "a//b.yaml"],
    grammar.SECONDS: ["5", "0.25", "1.50", "007"],
    grammar.COUNT: ["0", "7", "012"],
}
ODD = [
    "",
    "-",
    "--",
    "-x",
    "--no",
    "--json=1",
    "-1",
    "1e3",
    "nan",
    "=",
    "é",
    "--help",
    "-h",
    "--jso",
]


def for_people(line: Sequence[str]) -> Invocation | None:
    """What the other parser makes of a line; None when it refuses it or does something else."""
    found: list[Invocation] = []

    def note(invocation: Invocation) -> int:
        found.append(invocation)
        return 0

    try:
        parse_for_people(line, lambda invocation: lambda: note(invocation))()
    except UsageError:
        return None
    return found[0] if found else None


def facts(invocation: Invocation) -> tuple[object, ...]:
    return invocation.command, invocation.values, invocation.files, invocation.project


def assert_same(line: Sequence[str]) -> Invocation:
    quick = parse(line)
    other = for_people(line)
    assert other is not None, f"only the quick parser takes {line}"
    assert facts(quick) == facts(other)
    return quick


def declines(line: Sequence[str]) -> bool:
    try:
        parse(line)
    except Unusual:
        return True
    return False


def values_of(option: Option) -> list[str]:
    return [*option.choices] if option.kind == grammar.CHOICE else VALUES[option.kind]


def required(command: Command) -> list[str]:
    needed = (grammar.ONE, grammar.SOME)
    return [f"{a.name}=1" for a in command.arguments if a.times in needed]


def rest(command: Command) -> list[str]:
    return ["--", "env", "-i"] if command.arguments[-1].times == grammar.REST else []


def every_option() -> list[tuple[Command, Option]]:
    return [(command, option) for command in grammar.COMMANDS for option in command.options]


@pytest.mark.parametrize("command", grammar.COMMANDS, ids=lambda c: c.name)
def test_a_command_by_either_name_with_nothing_but_what_it_needs(command: Command) -> None:
    for name in filter(None, (command.name, command.alias)):
        assert assert_same([name, *required(command), *rest(command)]).command == command.name


@pytest.mark.parametrize(
    ("command", "option"), every_option(), ids=lambda part: getattr(part, "name", "")
)
def test_every_option_in_every_form(command: Command, option: Option) -> None:
    start, end = [command.name, *required(command)], rest(command)
    for flag in option.flags:
        if option.kind == grammar.FLAG:
            assert_same([*start, flag, *end])
            assert_same([command.name, flag, flag, *required(command), *end])
            assert declines([*start, f"{flag}=1", *end])
            continue
        joint = "=" if flag.startswith("--") else ""
        for value in values_of(option):
            assert_same([*start, flag, value, *end])
            assert_same([*start, f"{flag}{joint}{value}", *end])
            assert_same([command.name, flag, value, flag, value, *required(command), *end])
        assert declines([*start, flag, *end])
        assert declines([*start, flag, "", *end])


@pytest.mark.parametrize("line", [["status"], ["logs", "-f"], ["call", "a", "GET", "/"]])
def test_files_count_before_and_after_the_command(line: list[str]) -> None:
    for first in (["-f", "a"], ["-fa"], ["--file", "a"], ["--file=a", "-f", "b/"]):
        assert_same([*first, *line])
    assert assert_same(["-f", "a", *line, "--file", "c"]).files == ("a", "c")


@pytest.mark.parametrize("line", [["status"], ["logs", "-f"], ["run", "a", "--", "env"]])
def test_a_fleet_is_named_before_or_after_the_command_and_the_last_name_counts(
    line: list[str],
) -> None:
    for first in (["-p", "a"], ["-pa"], ["--project", "a"], ["--project=a"]):
        assert assert_same([*first, *line]).project == "a"
        assert assert_same([line[0], *first, *line[1:]]).project == "a"
        assert assert_same(["-p", "b", line[0], *first, *line[1:]]).project == "a"
    assert assert_same(line).project is None


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["--help"],
        ["status", "--help"],
        ["status", "-h"],
        ["--version"],
        ["--install-completion"],
        ["version"],
        ["breaker"],
        ["statu"],
        ["status", "--jso"],
        ["status", "-jq"],
        ["status", ""],
        ["status", "\udcff"],
        ["call", "a"],
        ["call", "a", "GET", "/", "body", "more"],
        ["scale"],
        ["wait", "--for", "ready"],
        ["wait", "--timeout", "0"],
        ["wait", "--timeout", "nan"],
        ["wait", "--timeout", "-1"],
        ["logs", "-n", "1.5"],
        ["logs", "-n", "9" * 5000],
        ["logs", "-n=5"],
        ["with"],
        ["with", "a"],
        ["with", "a", "--"],
        ["run", "--", "env"],
        ["run", "a", "b", "--", "env"],
        ["run", "a", "env"],
    ],
)
def test_what_is_not_plain_is_left_to_the_other_parser(line: list[str]) -> None:
    assert declines(line)


def test_after_two_dashes_everything_is_an_argument() -> None:
    assert assert_same(["status", "--", "--json", "-q"]).texts("services") == ("--json", "-q")
    assert assert_same(["call", "a", "POST", "/", "-"]).text("body") == "-"


def test_a_command_behind_two_dashes_is_left_as_it_is() -> None:
    command = ("pytest", "-p", "no:x", "--", "--timeout", "-")
    quick = assert_same(["with", "a", "--timeout", "3", "b", "--", *command])
    assert quick.texts("services") == ("a", "b")
    assert quick.texts("command") == command
    assert quick.seconds("timeout") == 3.0
    assert quick.project is None
    assert assert_same(["with", "--", "env"]).texts("services") == ()


@pytest.mark.parametrize("line", [["with"], ["with", "a", "b"], ["run", "a"], ["run", "a", "env"]])
def test_a_missing_command_is_asked_for(line: list[str]) -> None:
    with pytest.raises(UsageError, match=f"give the command after --, such as: msctl {line[0]} …"):
        parse_for_people(line)


def test_the_form_with_two_dashes_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    parse_for_people(["run", "--help"])()
    assert " -- COMMAND...\n" in capsys.readouterr().out


@cache
def words() -> st.SearchStrategy[list[str]]:
    def of(command: Command) -> st.SearchStrategy[list[str]]:
        flags = [flag for option in command.options for flag in option.flags]
        values = [value for option in command.options for value in VALUES.get(option.kind, ())]
        joined = [f"{flag}={value}" for flag in flags for value in values[:3]]
        word = st.sampled_from([*flags, *values, *joined, "user-service", *ODD])
        return st.lists(word, max_size=6).map(lambda rest: [command.name, *rest])

    return st.one_of([of(command) for command in grammar.COMMANDS])


@settings(deadline=None)  # building the app takes its time on a busy machine
@given(words())
def test_any_line_means_the_same_to_both_or_is_left_to_the_other(line: list[str]) -> None:
    try:
        quick = parse(line)
    except Unusual:
        return
    other = for_people(line)
    assert other is not None, f"only the quick parser takes {line}"
    assert facts(quick) == facts(other)
