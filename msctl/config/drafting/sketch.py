"""What a source says of one service, before names and ports are settled."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | int | float | bool | list["Value"] | dict[str, "Value"]
Keys = dict[str, Value]
"""Keys of a service as a configuration file has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """One service of a source."""

    name: str
    """As its source has it; dependencies use the same."""
    origin: str
    """The source's name, as people know it: `Procfile`, `shop/main.py`."""
    keys: Keys = field(default_factory=dict)
    """All but `name` and `port`; `dependencies` as a mapping of names to their options."""
    has_port: bool = False
    port: int | None = None
    """The port that the source names, if any."""
    notes: tuple[str, ...] = ()
    """What could not be taken over, and what has to be looked at."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """Comments on single keys."""
    left_out: str = ""
    """Why it is only shown, as a comment; empty when it can be run."""
    in_container: bool = False
    """Whether other services are called by their names in URLs, as containers have it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketches:
    """All that one source says."""

    services: tuple[Sketch, ...] = ()
    notes: tuple[str, ...] = ()
    project: str | None = None


class Untranslatable(Exception):
    """A source that cannot be read at all; the message says why."""
