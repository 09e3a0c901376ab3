"""How the processes of a service are run: start, restart, resources, dependencies."""

import re
import signal
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from msctl.config.fields import Count, Flag, Number, Section, Text, bad_value, switch
from msctl.config.forms import MEMORY

_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)
_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_MOST_BYTES = 2**62
_RESTART = re.compile(r"on-failure(?::(\d{1,6}))?")


class StartMode(StrEnum):
    """How the process is made."""

    AUTO = "auto"
    """Forked from the template where that is possible."""
    EXEC = "exec"


class RestartPolicy(StrEnum):
    """Which exits are followed by a new start."""

    NO = "no"
    ALWAYS = "always"
    ON_FAILURE = "on-failure"


class Condition(StrEnum):
    """What a dependency must have reached before its dependent starts."""

    STARTED = "started"
    HEALTHY = "healthy"
    COMPLETED = "completed"


class RestartConfig(Section):
    """What follows an exit."""

    policy: RestartPolicy = RestartPolicy.ON_FAILURE
    """Which exits are followed by a new start: no, always or on-failure."""
    max_retries: Count | None = None
    """Restarts in a row before it is given up; None for the supervisor's own limit."""


class DependencyOptions(Section):
    """When a dependency counts as there."""

    condition: Condition = Condition.HEALTHY
    """What it must have reached: started, healthy or completed."""
    required: Flag = True
    """Whether a dependency that cannot start keeps this service from starting."""


class Dependency(DependencyOptions):
    """Another service that must be there first."""

    name: Text
    """The service's name."""


def _memory(value: object) -> object:
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match:
        value = int(float(match[1]) * 1024 ** _POWER[match[2].upper()])
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST_BYTES:
        raise bad_value("expected an amount of memory such as 512M or 2G, or a number of bytes")
    return value


class ResourcesConfig(Section):
    """What each instance may use."""

    memory: Annotated[
        int | None,
        BeforeValidator(
            _memory, json_schema_input_type=Annotated[float, Field(gt=0)] | MEMORY | None
        ),
    ] = None
    """Bytes; text such as 512M is accepted, K, M, G and T being powers of 1024."""
    cpus: Number | None = None
    """Processors, also a part of one."""
    nice: Annotated[int, Field(ge=-20, le=19)] | None = None
    """Scheduling priority, from -20 (first) to 19 (last)."""
    open_files: Count | None = None
    """File descriptors."""


def parse_restart(value: object) -> object:
    """Read `no`, `always`, `on-failure`, `on-failure:N`; `no` may have become a boolean."""
    if switch(value) is False:
        return RestartConfig(policy=RestartPolicy.NO)
    if isinstance(value, RestartConfig | Mapping):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    match = _RESTART.fullmatch(word)
    if match and match[1] != "0":
        return RestartConfig(max_retries=int(match[1]) if match[1] else None)
    if word == RestartPolicy.ALWAYS:
        return RestartConfig(policy=RestartPolicy.ALWAYS)
    hint = " (did you mean always?)" if word == "unless-stopped" or switch(value) else ""
    raise bad_value(f"expected no, always, on-failure or on-failure:N{hint}")


def parse_dependencies(value: object) -> object:
    """Read a list of names, or a mapping of names to conditions."""
    if isinstance(value, Mapping):
        items: list[object] = []
        for name, options in value.items():
            if options is not None and not isinstance(options, Mapping):
                raise bad_value(f"expected condition and required under {name}")
            items.append({"name": name, **(options or {})})
        return items
    if isinstance(value, str):
        raise bad_value(f"expected a list of names: [{value}]")
    if isinstance(value, list | tuple):
        return [{"name": item} if isinstance(item, str) else item for item in value]
    return value


def parse_signal(value: object) -> object:
    """Return the name of a signal without SIG, from a name or a number."""
    word = str(value).strip().upper().removeprefix("SIG")
    try:
        number = int(word) if word.isascii() and word.isdigit() else signal.Signals[f"SIG{word}"]
        known = signal.Signals(number)
    except (KeyError, ValueError):
        raise bad_value("expected the name of a signal such as TERM, INT or QUIT") from None
    if isinstance(value, bool) or known in {signal.SIGSTOP, signal.SIGCONT, signal.SIGCHLD}:
        raise bad_value("expected a signal that ends a program, such as TERM, INT or QUIT")
    return known.name.removeprefix("SIG")
