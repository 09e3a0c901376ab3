"""Which environment variables are msctl's own: it gives them to every instance."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator

from msctl.config.fields import bad_value, pairs
from msctl.config.forms import PAIR, VARIABLE

_FIXED = frozenset({"HOST", "PORT", "PYTHONUNBUFFERED"})
_PREFIX = "MSCTL_"
_SUFFIXES = ("_URL", "_HOST", "_PORT")
_FORBIDDEN_IN_NAME = re.compile(r"[\s=\0]")


def variable_prefix(service: str) -> str:
    """Return the form that a service's name takes in the variables of its dependents."""
    return service.upper().replace("-", "_")


def why_injected(variable: str, dependencies: Iterable[str]) -> str | None:
    """Why msctl sets this variable itself, in words; None when it is free to be used.

    The injected names are those of contract.md, Config; `dependencies` are the names of the
    services that the service in question depends on.
    """
    if variable in _FIXED or variable.startswith(_PREFIX):
        return "msctl sets it for every instance"
    for name in dependencies:
        if variable in {variable_prefix(name) + suffix for suffix in _SUFFIXES}:
            return f"msctl sets it because of the dependency on {name}"
    return None


def _name(value: object) -> object:
    if isinstance(value, str) and (not value or _FORBIDDEN_IN_NAME.search(value)):
        raise bad_value("expected a variable's name, without spaces and =")
    return value


def _value(value: object) -> object:
    if isinstance(value, str) and "\0" in value:
        raise bad_value("has a NUL character, which no environment can hold")
    if value is None:
        raise bad_value("has no value; give one, or leave the variable out")
    return value


Environment = Annotated[
    dict[
        Annotated[str, BeforeValidator(_name)],
        Annotated[str, BeforeValidator(_value)],
    ],
    BeforeValidator(pairs, json_schema_input_type=dict[VARIABLE, str | None] | tuple[PAIR, ...]),
]
"""Variables by name; also given as a list of `K=V`."""
