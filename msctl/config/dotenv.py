"""Env files: `K=V` lines, with comments, quotes and an optional `export`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msctl.config.interpolate import expand

_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}
_COMMENT = re.compile(r"(?:^|[ \t])#.*")


class EnvFileError(ValueError):
    """A line of an env file that cannot be read; `line` is 1-based."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"line {line}: {message}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `K=V` of an env file."""

    line: int
    name: str
    value: str
    literal: bool
    """In single quotes: `${…}` in it is text."""


def parse_env_file(text: str) -> dict[str, str]:
    """Return the variables of an env file, `${…}` in their values left as it is; the last one holds.

    Raises EnvFileError for the first line that is neither empty, a comment nor `K=V`.
    """
    return {item.name: item.value for item in assignments(text)}


def assignments(text: str) -> Iterator[Assignment]:
    """Return the assignments of an env file in order; raises EnvFileError where it reaches a bad line."""
    lines = text.removeprefix("\ufeff").splitlines()
    index = 0
    while index < len(lines):
        number, line = index + 1, lines[index].strip()
        index += 1
        if not line or line.startswith("#"):
            continue
        match = _ASSIGNMENT.match(line)
        if not match:
            raise EnvFileError(number, "expected NAME=value, or a comment that starts with #")
        rest = line[match.end() :]
        if rest[:1] in {'"', "'"}:
            # A quoted value may go on over the next lines.
            while (end := _closing_quote(rest)) < 0 and index < len(lines):
                rest += "\n" + lines[index]
                index += 1
            yield _quoted(number, match[1], rest, end)
        else:
            value = _COMMENT.sub("", rest, count=1).strip()
            yield _assignment(number, match[1], value, literal=False)


def resolve(item: Assignment, variables: Mapping[str, str]) -> str:
    """Return the value with its `${…}` replaced; raises EnvFileError where that fails."""
    if item.literal:
        return item.value
    try:
        return expand(item.value, variables)
    except ValueError as error:
        raise EnvFileError(item.line, f"{item.name}: {error}") from None


def _closing_quote(rest: str) -> int:
    """Return the index of the quote that closes the one `rest` begins with; -1 without one."""
    quote = rest[0]
    at = 1
    while at < len(rest) and rest[at] != quote:
        at += 2 if quote == '"' and rest[at] == "\\" else 1
    return at if at < len(rest) else -1


def _quoted(number: int, name: str, rest: str, end: int) -> Assignment:
    if end < 0:
        raise EnvFileError(number, f"the quote that opens the value of {name} is never closed")
    behind = rest[end + 1 :].strip()
    if behind and not behind.startswith("#"):
        raise EnvFileError(number, f"something follows the closing quote of {name}; remove it")
    inner = rest[1:end]
    if rest[0] == "'":
        return _assignment(number, name, inner, literal=True)
    value = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), inner, flags=re.DOTALL)
    return _assignment(number, name, value, literal=False)


def _assignment(number: int, name: str, value: str, *, literal: bool) -> Assignment:
    if "\0" in value:
        raise EnvFileError(number, f"the value of {name} has a NUL character")
    return Assignment(number, name, value, literal)
