"""Short forms of values, as types for the JSON Schema: what a validator reads before it validates.

They are given to `BeforeValidator(..., json_schema_input_type=...)`, beside the function that
reads the form. Patterns are regular expressions of Python and of JavaScript alike: editors
compile them.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import WithJsonSchema

SWITCH_WORDS: Mapping[str, bool] = {
    **dict.fromkeys(("on", "yes", "true", "y"), True),
    **dict.fromkeys(("off", "no", "false", "n", "none", "null"), False),
}
"""On and off in every spelling, in lower case."""

_ON = [word for word, on in SWITCH_WORDS.items() if on]
_OFF = [word for word, on in SWITCH_WORDS.items() if not on]


# Those of Linux and macOS that end a program; the schema is the same file everywhere.
_SIGNALS = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV",
    "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "POLL", "PWR", "SYS", "RTMIN", "RTMAX", "EMT", "INFO",
)  # fmt: skip


def any_case(words: Iterable[str], *, optional: str = "") -> str:
    """Return a pattern for these words in capitals or not; JSON Schema's patterns have no flags.

    `optional` is what may stand before each of them.
    """
    prefix = f"({_letters(optional)})?" if optional else ""
    return rf"^\s*{prefix}({'|'.join(map(_letters, words))})\s*$"


def _letters(word: str) -> str:
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word)


def _one_of(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


FLAG = Annotated[
    bool,
    _one_of(
        {"type": "boolean"},
        {"enum": ["on", "off"]},
        _text(any_case([*_ON, *_OFF, "t", "f", "1", "0"])),
        {"type": "integer", "minimum": 0, "maximum": 1},
    ),
]
SWITCH = Annotated[
    bool, _one_of({"type": "boolean"}, {"enum": ["on", "off"]}, _text(any_case([*_ON, *_OFF])))
]
"""On and off, where a mapping may stand too."""
OFF = Annotated[None, _one_of({"const": False}, {"enum": ["off", "none"]}, _text(any_case(_OFF)))]
"""Off or none, where on would need more to be said."""
NON_BLANK = Annotated[str, WithJsonSchema(_text(r"\S"))]
URL_PATH = Annotated[str, WithJsonSchema(_text(r"^/\S*$"))]
IMPORT_STRING = Annotated[
    str,
    # Not \w: in JavaScript that is ASCII, and Python's names are not.
    WithJsonSchema(_text(r"^[^\s.:/-]+(\.[^\s.:/-]+)*:[^\s.:/-]+(\.[^\s.:/-]+)*$")),
]
HOST = Annotated[str, WithJsonSchema(_text(r"^[^\s/]+$"))]
MEMORY = Annotated[
    str,
    WithJsonSchema(_text(r"^\s*\d+(\.\d+)?\s*([kKmMgGtT]([iI]?[bB])?|[iI]?[bB])\s*$")),
]
"""With a unit; without one it is a number."""
RESTART = Annotated[
    str,
    _one_of(
        {"enum": ["no", "always", "on-failure"]},
        _text(r"^\s*[oO][nN]-[fF][aA][iI][lL][uU][rR][eE](:(?!0+\s*$)\d{1,6})?\s*$"),
        _text(any_case(["always"])),
    ),
]
SIGNAL = Annotated[
    str,
    _one_of(
        {"enum": ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"]},
        _text(any_case(_SIGNALS, optional="SIG")),
        {"type": "integer", "minimum": 1, "maximum": 64},
    ),
]
PAIR = Annotated[str, WithJsonSchema(_text("^[^=]"))]
"""An item of an environment's list; without a value it is the one of the caller's environment."""
VARIABLE = Annotated[str, WithJsonSchema(_text(r"^[^\s=]+$"))]


def exclusive(one: str, other: str) -> dict[str, Any]:
    """Return what a model's schema says of two keys that exclude each other."""
    message = f"{one} and {other} exclude each other; keep one of them"
    return {
        "if": {"required": [one], "properties": {one: {"not": {"type": "null"}}}},
        "then": {"properties": {other: {"type": "null", "errorMessage": message}}},
    }
