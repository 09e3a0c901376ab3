"""YAML as a person would write it, for the values that a configuration has."""

import re
from textwrap import wrap

from msctl.config.drafting.sketch import Value

WIDTH = 96

_PLAIN = re.compile(r"[\w./$]\S*(?: \S+)*")
_PLAIN_IN_FLOW = re.compile(r"-{0,2}[A-Za-z0-9_./][A-Za-z0-9_./:@%+=^~*-]*")
_NOT_TEXT = re.compile(
    r"~|null|true|false|yes|no|on|off|y|n|[-+.]?[0-9][0-9_.:a-fox+-]*|[-+]?\.(inf|nan)",
    re.IGNORECASE,
)
_SURROGATES = frozenset(map(chr, range(0xD800, 0xE000)))
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def scalar(value: str | float | bool, *, in_flow: bool = False) -> str:  # noqa: FBT001 - a value
    """Return a value on one line; text that YAML takes for something else is quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return str(value)
    form = _PLAIN_IN_FLOW if in_flow else _PLAIN
    is_plain = value.isprintable() and form.fullmatch(value) and not _NOT_TEXT.fullmatch(value)
    means_more = value.endswith(":") or ": " in value or " #" in value
    return value if is_plain and not means_more else quoted(value)


def quoted(text: str) -> str:
    """Return a text in double quotes; a lone surrogate, which no file can hold, is replaced."""
    return f'"{"".join(map(_character, text))}"'


def _character(char: str) -> str:
    if char in _ESCAPES or char.isprintable():
        return _ESCAPES.get(char, char)
    if char in _SURROGATES:
        return "\N{REPLACEMENT CHARACTER}"
    return f"\\U{ord(char):08x}"


def flow(value: Value) -> str:
    """Return a value with all that is in it on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(
            f"{scalar(key, in_flow=True)}: {flow(item)}" for key, item in value.items()
        )
        return f"{{{inner}}}"
    return scalar(value, in_flow=True)


def is_literal(text: str) -> bool:
    """Whether a text of several lines can be written as they are."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and all(line == "" or (line.isprintable() and line == line.rstrip()) for line in lines)
        and bool(lines[0])
        and not lines[0].startswith(" ")
        and bool(lines[-1])
    )


def block(value: Value, indent: str) -> list[str]:
    """Return what follows a key: the rest of its line, and the lines below it."""
    if isinstance(value, str) and is_literal(value):
        return [" |-", *(f"{indent}{line}".rstrip() for line in value.split("\n"))]
    if not isinstance(value, list | dict):
        return [f" {scalar(value)}"]
    line = flow(value)
    if len(line) + len(indent) <= WIDTH and "\\n" not in line:
        return [f" {line}"]
    lines = [""]
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for key, item in items:
        first, *rest = block(item, f"{indent}  ")
        start = f"{indent}-" if key is None else f"{indent}{scalar(key)}:"
        lines += [f"{start}{first}", *rest]
    return lines


def comment(text: str, indent: str = "") -> list[str]:
    """Return a text as comments; its own lines stay, the long ones that begin a text are wrapped."""
    lines = ["".join(map(_printable, line)) for line in text.splitlines() or [""]]
    wrapped = [part for line in lines for part in _wrapped(line)]
    return [f"{indent}# {line}".rstrip() for line in wrapped]


def _wrapped(line: str) -> list[str]:
    if line.startswith(" ") or len(line) <= WIDTH:
        return [line]  # YAML that became a comment keeps its form
    return wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _printable(char: str) -> str:
    return char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"
