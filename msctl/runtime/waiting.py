"""Waiting for services to be what they should be, and saying why they are not."""

from collections.abc import Collection, Iterable
from typing import Self

from msctl.core.reconcile import Wish
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


class Claim:
    """What is wanted of some services as one command left it.

    A command that comes later may want something else of them: its wish holds, and the
    earlier one is overtaken. It neither waits for these services nor undoes anything there.
    """

    def __init__(self, fleet: Orchestrator, wishes: dict[str, Wish | None]) -> None:
        self._fleet = fleet
        self._wishes = wishes

    @classmethod
    def on(cls, fleet: Orchestrator, names: Iterable[str]) -> Self:
        """Remember what is wanted of these services now."""
        return cls(fleet, {name: fleet.wish(name) for name in names})

    def holds(self, name: str) -> bool:
        """Whether the service is wanted as it was then."""
        return _essence(self._fleet.wish(name)) == _essence(self._wishes[name])

    def forget(self, name: str) -> None:
        """Claim a service no longer."""
        self._wishes.pop(name, None)

    def overtaken(self, outcome: Outcome) -> Outcome:
        """Add to the outcome what other commands have changed meanwhile: that is a failure."""
        lost = [self._now(name) for name in self._wishes if not self.holds(name)]
        if lost:
            words = f"overtaken by another command: {', '.join(lost)}"
            outcome.message = "; ".join(filter(None, (outcome.message, words)))
            outcome.exit_code = outcome.exit_code or EXIT_FAILED
        return outcome

    def _now(self, name: str) -> str:
        """Say what is wanted of a service now."""
        before, wish = self._wishes[name], self._fleet.wish(name)
        if wish is None or not wish.wanted:
            return f"{name} (stopped)"
        if before is None or not before.wanted:
            return f"{name} (wanted again)"
        if wish.replicas != before.replicas:
            return f"{name} (now {wish.replicas} replicas)"
        return f"{name} (changed again)"


def _essence(wish: Wish | None) -> tuple[int, int, bool] | None:
    """Return what is wanted, whatever the way to it; None for nothing."""
    return (wish.revision, wish.replicas, wish.standby) if wish and wish.wanted else None


async def until_healthy(
    fleet: Orchestrator,
    operation: Operation,
    names: tuple[str, ...],
    timeout: float | None,
    claim: Claim | None = None,
) -> Outcome:
    """Wait until all are healthy; the first that is given up ends it.

    With a claim just for those that nobody else wants otherwise meanwhile.
    """

    def waited_for() -> tuple[str, ...]:
        return names if claim is None else tuple(filter(claim.holds, names))

    unfollow = operation.follow(names)
    try:
        ending = await operation.until(
            lambda: all(is_settled(fleet, name) for name in waited_for()),
            failed=lambda: any(setbacks(fleet, name, names) for name in waited_for()),
            timeout=timeout,
        )
    finally:
        unfollow()
    late = [name for name in waited_for() if not is_settled(fleet, name)]
    outcome = describe(fleet, ending, waited_for(), late, f"not healthy within {timeout or 0:g} s")
    outcome.services = list(names)
    return outcome


async def until_gone(fleet: Orchestrator, claim: Claim, names: Iterable[str]) -> None:
    """Wait until nothing is left of these services, or they are wanted again."""
    names = tuple(names)
    await fleet.changed.until(
        lambda: all(fleet.is_gone(name) or not claim.holds(name) for name in names)
    )


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
    found += [
        Failure(name, i.id, f"it ended: {i.reason}", fleet.logs.instance(i.id).tail())
        for i in fleet.current(name)
        if i.status is ServiceStatus.STOPPED
    ]
    if fleet.is_held(name):
        found += [
            Failure(name, i.id, i.reason, fleet.logs.instance(i.id).tail())
            for i in fleet.current(name)
            if i.status is ServiceStatus.BACKOFF
        ]
    if not fleet.current(name):
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
    instances = fleet.current(name)
    if not instances:
        waits_for = ", ".join(fleet.waits_for(name))
        return Failure(name, None, f"not started{waits_for and '; it waits for '}{waits_for}")
    slowest = next((i for i in instances if i.health is not Health.HEALTHY), instances[0])
    reason = "; ".join(filter(None, (f"{slowest.status}, {slowest.health}", slowest.reason)))
    return Failure(name, slowest.id, reason, fleet.logs.instance(slowest.id).tail())
