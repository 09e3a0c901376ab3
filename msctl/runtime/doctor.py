"""`msctl doctor`: what of the machine and the configuration would keep a fleet from running well.

Each check is a small function from facts to findings; `doctor_facts` gathers the facts.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, less well than it could, or not for everything."""
    FAIL = "fail"
    """Something would keep the fleet, or a service of it, from running."""


class Topic(StrEnum):
    """What the findings are grouped by, in the order of the report."""

    PYTHON = "python"
    MACHINE = "machine"
    CONFIG = "config"
    PROGRAMS = "programs"
    PORTS = "ports"
    STATE = "state"
    WARM_START = "warm start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `hint` is what to do about it."""

    level: Level
    topic: Topic
    what: str
    message: str
    hint: str = ""


def report(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the document: the findings by topic, and how many there are of each level."""
    order = list(Topic)
    found = sorted(findings, key=lambda finding: order.index(finding.topic))
    counts = {str(level): sum(f.level is level for f in found) for level in Level}
    return {
        "schema_version": SCHEMA_VERSION,
        "healthy": not counts[Level.FAIL],
        "counts": counts,
        "findings": [asdict(finding) for finding in found],
    }


def ok(topic: Topic, what: str, message: str) -> Finding:
    """Make a finding of something that is as it should be."""
    return Finding(level=Level.OK, topic=topic, what=what, message=message)


def warn(topic: Topic, what: str, message: str, hint: str = "") -> Finding:
    """Make a finding of something that could be better."""
    return Finding(level=Level.WARN, topic=topic, what=what, message=message, hint=hint)


def fail(topic: Topic, what: str, message: str, hint: str = "") -> Finding:
    """Make a finding of something that would keep the fleet from running."""
    return Finding(level=Level.FAIL, topic=topic, what=what, message=message, hint=hint)


def enumerate_names(names: Iterable[str], most: int = 8) -> str:
    """Write names in a row, not all of very many."""
    listed = list(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")
