"""What a revision of a service consists of, and what of it a running process can take up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from msctl.config.fields import Section
from msctl.config.models import ServiceConfig
from msctl.core.reconcile import Wish

HOT_KEYS = frozenset(
    {
        "description", "replicas", "balancer", "breaker", "retries", "limits", "timeout",
        "start_timeout", "stop_timeout", "drain_timeout", "stop_signal", "scaling",
        "watch", "data", "profiles",
    }
)  # fmt: skip
"""Keys whose change takes effect without a restart of the process."""

NO_REVISION = 0
"""What an instance counts for that counts for nothing any more; wishes begin with 1."""

_FILLED_FROM = {"file_environment": "env_file"}
"""Keys that no user writes, and the ones they come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What the processes of one revision are started with, crash restarts included."""

    service: ServiceConfig
    environment: Mapping[str, str]
    """That of the command that started or restarted it."""
    retry_startup: bool = False
    """Whether an exit before it was ever healthy is a crash like any other."""
    told: Mapping[str, str] = field(default_factory=dict)
    """The URL of each dependency as its environment has it, where it was known."""

    def with_hot_keys(self, service: ServiceConfig) -> Self:
        """Return it with those of this configuration's keys that need no restart."""
        hot = {key: getattr(service, key) for key in HOT_KEYS}
        return replace(self, service=self.service.model_copy(update=hot))


@dataclass(frozen=True, slots=True)
class Statement:
    """What is wanted of a service, and what its next instances are started with."""

    wish: Wish
    release: Release


def cold_changes(before: ServiceConfig, after: ServiceConfig) -> list[str]:
    """Name the changed keys that only a new process can take up."""
    return list(_changes(before, after, hot=False))


def hot_changes(before: ServiceConfig, after: ServiceConfig) -> list[str]:
    """Name the changed keys that take effect at once."""
    return list(_changes(before, after, hot=True))


def _changes(before: ServiceConfig, after: ServiceConfig, *, hot: bool) -> Iterator[str]:
    for key in type(after).model_fields:
        old, new = getattr(before, key), getattr(after, key)
        if (key in HOT_KEYS) is hot and old != new:
            yield from _inner_changes(_FILLED_FROM.get(key, key), old, new)


def _inner_changes(key: str, old: Any, new: Any) -> Iterator[str]:
    """Name what is inside a key, by name only: the values of variables may be secret."""
    if isinstance(old, Section) and type(old) is type(new):
        old, new = dict(old), dict(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [*new, *(name for name in old if name not in new)]
        yield from (f"{key}.{name}" for name in names if old.get(name) != new.get(name))
    else:
        yield key
