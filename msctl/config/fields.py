"""The kinds of value that configuration keys are made of.

A configuration file gives every scalar as text (see `nodes`), Python gives numbers and
booleans; each field accepts both, and neither takes a boolean for a number.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from msctl.config.forms import FLAG, NON_BLANK, SWITCH_WORDS, URL_PATH

_YEAR = 365 * 24 * 3600.0
_MANY = 1_000_000
_WITH_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*", re.IGNORECASE)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Section(BaseModel):
    """A mapping of the configuration: immutable, and no key is accepted that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # What was given may be a secret.
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


def bad_value(message: str) -> PydanticCustomError:
    """Return a validation error about the value itself; whoever prints it may add what was given."""
    return PydanticCustomError("bad_value", "{message}", {"message": message})


def switch(value: object) -> bool | None:
    """On and off in every spelling that YAML or a person has for them; None for anything else.

    YAML 1.1 makes booleans of `on`, `off`, `yes` and `no`, YAML 1.2 leaves them text: a key
    that knows these words means the same by both.
    """
    if isinstance(value, bool):
        return value
    return SWITCH_WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def none_word(value: object) -> object:
    """Read `none` (or `off`, or false) as no value."""
    return None if switch(value) is False else value


def text_of(value: object) -> object:
    """Numbers as text, where a person may write either, such as in an argument list."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def split_command(value: object) -> object:
    """Return an argument list from a list, or from one string split as a shell would (contract.md)."""
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            message = f"cannot be split into arguments ({str(error).lower()}); write it as a list"
            raise bad_value(message) from None
    if isinstance(value, Sequence):
        if not value or value[0] == "":
            raise bad_value("names no program to run; give its name and arguments")
        if any(isinstance(part, str) and "\0" in part for part in value):
            raise bad_value("has a NUL character in an argument; no program can be given that")
        return [text_of(part) for part in value]
    return value


def one_or_more(value: object) -> object:
    """Return a single text where a list of them is meant."""
    return [value] if isinstance(value, str) and value else value


def number(value: object) -> object:
    """Refuse a boolean where a number is meant."""
    if isinstance(value, bool):
        raise bad_value("expected a number")
    return value


def _seconds(value: object) -> object:
    match = _WITH_UNIT.fullmatch(value) if isinstance(value, str) else None
    if match:
        seconds = float(match[1]) * _UNIT_SECONDS[match[2].lower()]
        raise bad_value(f"expected seconds as a plain number: {seconds:g}")
    return number(value)


def _switch_or_value(value: object) -> object:
    chosen = switch(value)
    return value if chosen is None else chosen


def _url_path(value: object) -> object:
    if isinstance(value, str) and (not value.startswith("/") or re.search(r"[\s\0]", value)):
        raise bad_value("expected the path part of a URL, starting with / and without spaces")
    return value


Count = Annotated[int, Field(ge=1, le=_MANY), BeforeValidator(number)]
"""How many, at least one."""
CountOrZero = Annotated[int, Field(ge=0, le=_MANY), BeforeValidator(number)]
Number = Annotated[float, Field(gt=0, le=_MANY, allow_inf_nan=False), BeforeValidator(number)]
NumberOrZero = Annotated[float, Field(ge=0, le=_MANY, allow_inf_nan=False), BeforeValidator(number)]
Ratio = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), BeforeValidator(number)]
RatioOrZero = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(number)]
Seconds = Annotated[float, Field(gt=0, le=_YEAR, allow_inf_nan=False), BeforeValidator(_seconds)]
SecondsOrZero = Annotated[
    float, Field(ge=0, le=_YEAR, allow_inf_nan=False), BeforeValidator(_seconds)
]
Interval = Annotated[
    float, Field(ge=0.01, le=_YEAR, allow_inf_nan=False), BeforeValidator(_seconds)
]
"""Seconds between two of the same thing: never so short that it is a busy loop."""
Flag = Annotated[bool, BeforeValidator(_switch_or_value, json_schema_input_type=FLAG)]
Text = Annotated[str, StringConstraints(min_length=1)]
TextList = Annotated[
    tuple[str, ...],
    BeforeValidator(one_or_more, json_schema_input_type=Text | tuple[str, ...]),
]
"""A list of texts; also one of them."""
PathList = Annotated[
    tuple[Path, ...],
    BeforeValidator(one_or_more, json_schema_input_type=Text | tuple[Path, ...]),
]
UrlPath = Annotated[str, BeforeValidator(_url_path, json_schema_input_type=URL_PATH)]
Argv = Annotated[
    tuple[str, ...],
    BeforeValidator(
        split_command,
        json_schema_input_type=Annotated[tuple[str, ...], Field(min_length=1)] | NON_BLANK,
    ),
]
"""A program and its arguments; also one text that is split like a shell does."""


def pairs(value: object) -> object:
    """Read an environment as a mapping: given as one, or as a list of `K=V`."""
    if isinstance(value, Mapping):
        return {key: _environment_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        if not all("=" in item for item in value):
            raise bad_value("expected K=V in every item of the list")
        return dict(item.split("=", 1) for item in value)
    raise bad_value("expected a mapping of names to values, or a list of K=V")


def _environment_text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else text_of(value)
