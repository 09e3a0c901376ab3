"""Is the process alive? The legal changes of an instance's status, as one table.

Wish and fact are two variables: this is the fact. What the user wants of an instance is
known to its supervisor, never stored here.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msctl.errors import IllegalTransition
from msctl.model import Health, ServiceStatus

STARTING, RUNNING, DRAINING, STOPPING = (
    ServiceStatus.STARTING,
    ServiceStatus.RUNNING,
    ServiceStatus.DRAINING,
    ServiceStatus.STOPPING,
)
STOPPED, BACKOFF, COMPLETED, ERROR = (
    ServiceStatus.STOPPED,
    ServiceStatus.BACKOFF,
    ServiceStatus.COMPLETED,
    ServiceStatus.ERROR,
)

_AFTER_AN_EXIT = frozenset({BACKOFF, COMPLETED, STOPPED, ERROR})
"""Where an exit that nobody asked for may lead: see `msctl.core.backoff`.

A restart at once goes through `backoff` as well, with no time spent there.
"""

TRANSITIONS: Mapping[ServiceStatus, frozenset[ServiceStatus]] = MappingProxyType(
    {
        STARTING: frozenset({RUNNING, STOPPING}) | _AFTER_AN_EXIT,
        RUNNING: frozenset({DRAINING, STOPPING}) | _AFTER_AN_EXIT,
        # Never back to `running`: a passing check does not undo a drain (router.md, draining).
        DRAINING: frozenset({STOPPING, STOPPED}),
        # A stop that was asked for ends in `stopped`. One that a failing liveness check
        # caused ends as a crash does; `error` is also for a process that cannot be killed.
        STOPPING: frozenset({STOPPED, BACKOFF, ERROR}),
        BACKOFF: frozenset({STARTING, STOPPED}),
        # These are left by a user's command only (router.md, restart backoff).
        STOPPED: frozenset({STARTING}),
        COMPLETED: frozenset({STARTING, STOPPED}),
        ERROR: frozenset({STARTING, STOPPED}),
    }
)

ALIVE = frozenset({STARTING, RUNNING, DRAINING, STOPPING})
"""The statuses in which a process exists or is about to."""


def advance(current: ServiceStatus, to: ServiceStatus) -> ServiceStatus:
    """Return `to` if the table allows it after `current`, else raise IllegalTransition."""
    if to not in TRANSITIONS[current]:
        legal = ", ".join(sorted(TRANSITIONS[current]))
        raise IllegalTransition(f"{current} cannot become {to}, only {legal}")
    return to


def health_without_check(status: ServiceStatus) -> Health:
    """Return the health of an instance that has no check (contract.md, Output).

    It is healthy as long as its process runs; not yet known before that and after an end
    that was meant, unhealthy after one that was not.
    """
    if status in {RUNNING, DRAINING, STOPPING}:
        return Health.HEALTHY
    if status in {BACKOFF, ERROR}:
        return Health.UNHEALTHY
    return Health.UNKNOWN
