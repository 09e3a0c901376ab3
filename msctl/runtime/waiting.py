"""Waiting for services to be what they should be, and saying why they are not."""

from collections.abc import Collection

from msctl.errors import Failure
from msctl.model import Health, ServiceStatus
from msctl.runtime.operation import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TIME_LIMIT,
    Ending,
    Operation,
    Outcome,
)
from msctl.runtime.orchestrator import Orchestrator

_EXIT_CODES = {
    Ending.DONE: 0,
    Ending.FAILED: EXIT_FAILED,
    Ending.EXPIRED: EXIT_TIME_LIMIT,
    Ending.CANCELLED: EXIT_INTERRUPTED,
}


async def until_healthy(
    fleet: Orchestrator, operation: Operation, names: tuple[str, ...], timeout: float | None
) -> Outcome:
    """Wait until all are healthy; the first that is given up ends it."""
    unfollow = operation.follow(names)
    try:
        ending = await operation.until(
            lambda: all(is_settled(fleet, name) for name in names),
            failed=lambda: any(setbacks(fleet, name, names) for name in names),
            timeout=timeout,
        )
    finally:
        unfollow()
    late = [name for name in names if not is_settled(fleet, name)]
    return describe(fleet, ending, names, late, f"not healthy within {timeout or 0:g} s")


def describe(
    fleet: Orchestrator, ending: Ending, names: tuple[str, ...], late: list[str], lateness: str
) -> Outcome:
    """Put the ending of a wait into an answer."""
    failures = [failure for name in names for failure in setbacks(fleet, name, names)]
    message = ""
    match ending:
        case Ending.EXPIRED:
            message = f"{lateness}: {', '.join(late)}"
            failures = failures or [_lateness(fleet, name) for name in late]
        case Ending.CANCELLED:
            message, failures = "interrupted", []
        case Ending.FAILED:
            message = f"failed: {', '.join(dict.fromkeys(f.service for f in failures))}"
        case Ending.DONE:
            failures = []
    return Outcome(
        exit_code=_EXIT_CODES[ending], message=message, failures=failures, services=list(names)
    )


def setbacks(fleet: Orchestrator, name: str, waited_for: Collection[str]) -> list[Failure]:
    """Return why waiting for a service is in vain, until a command changes something.

    `waited_for` speak for themselves: their failures are not repeated for their dependents.
    """
    found = fleet.failures(name)
    instances = fleet.instances(name)
    if fleet.is_current(name):
        found += [
            Failure(name, i.id, f"it ended: {i.reason}", fleet.logs.instance(i.id).tail())
            for i in instances
            if i.status is ServiceStatus.STOPPED
        ]
    if not instances:
        found += [
            Failure(name, None, f"not started: it waits for {needed}, which has failed")
            for needed in fleet.waits_for(name)
            if needed not in waited_for and fleet.failures(needed)
        ]
    return found


def is_settled(fleet: Orchestrator, name: str) -> bool:
    """Whether all wanted instances answer, degraded or not; a completed job is done."""
    wish = fleet.wish(name)
    if wish is None or not fleet.is_current(name):
        return False
    instances = fleet.instances(name)
    return is_completed(fleet, name) or sum(i.in_rotation for i in instances) >= wish.replicas


def is_completed(fleet: Orchestrator, name: str) -> bool:
    """Whether a job is done."""
    return fleet.summary(name).status is ServiceStatus.COMPLETED


def _lateness(fleet: Orchestrator, name: str) -> Failure:
    instances = fleet.instances(name)
    if not instances:
        waits_for = ", ".join(fleet.waits_for(name))
        return Failure(name, None, f"not started{waits_for and '; it waits for '}{waits_for}")
    slowest = next((i for i in instances if i.health is not Health.HEALTHY), instances[0])
    reason = "; ".join(filter(None, (f"{slowest.status}, {slowest.health}", slowest.reason)))
    return Failure(name, slowest.id, reason, fleet.logs.instance(slowest.id).tail())
