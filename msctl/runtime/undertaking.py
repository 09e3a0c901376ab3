"""What a command has set about: seen through to its end, or taken back."""

import asyncio
from collections.abc import Iterable, Mapping

from msctl.errors import MsctlError
from msctl.proxy.meters import Meters
from msctl.runtime.operation import Operation, Outcome
from msctl.runtime.orchestrator import Orchestrator, StopOptions
from msctl.runtime.planning import Plan
from msctl.runtime.release import Statement
from msctl.runtime.requests import RequestWatch
from msctl.runtime.waiting import Claim, is_settled, until_gone, until_healthy


class Undertaking:
    """A plan whose wishes have been stated, and what was wanted before.

    `stating` is held by whoever states wishes.
    """

    def __init__(
        self,
        fleet: Orchestrator,
        plan: Plan,
        before: Mapping[str, Statement | None],
        *,
        meters: Meters,
        stating: asyncio.Lock,
    ) -> None:
        self._fleet = fleet
        self._plan = plan
        self._before = before
        self._stating = stating
        self._claim = Claim.on(fleet, [change.service for change in plan.changes])
        touched = plan.touched()
        self._watch = RequestWatch(meters, touched) if touched else None

    async def see_through(
        self, operation: Operation, names: tuple[str, ...], timeout: float | None
    ) -> Outcome:
        """Wait until all of it is healthy, as far as no other command wants anything else."""
        return await until_healthy(self._fleet, operation, names, timeout, self._claim)

    async def until_gone(self, names: Iterable[str]) -> None:
        """Wait until nothing is left of these services, unless they are wanted again."""
        await until_gone(self._fleet, self._claim, names)

    async def undo(self, operation: Operation, *, starts: bool = False) -> None:
        """Take back what has not been done yet, and with `starts` what was started.

        Instances that were to be replaced stay, and what they were to be replaced by is
        removed. What another command wants by now is left alone.
        """
        async with self._stating:
            stopped = self._mine(self._plan.started()) if starts else []
            self._fleet.unwant(stopped, StopOptions())
            unfinished = [n for n in self._plan.replaced() if not is_settled(self._fleet, n)]
            returned = self._mine([*unfinished, *(self._plan.grown() if starts else ())])
            for name in returned:
                await self._go_back(operation, name)
            claim = Claim.on(self._fleet, [*stopped, *returned])
        for name in (*stopped, *returned):
            self._claim.forget(name)
        await until_gone(self._fleet, claim, stopped)
        await self._fleet.changed.until(
            lambda: all(self._fleet.has_only_current(n) or not claim.holds(n) for n in returned)
        )

    def conclude(self, outcome: Outcome) -> Outcome:
        """Complete the answer."""
        outcome.changes = self._plan.changes
        outcome.requests = self._watch.report() if self._watch else None
        return self._claim.overtaken(outcome)

    def _mine(self, names: Iterable[str]) -> list[str]:
        return list(filter(self._claim.holds, names))

    async def _go_back(self, operation: Operation, name: str) -> None:
        """Want again what was wanted of a service, and say what that leaves."""
        before = self._before[name]
        assert before is not None, "only what was there is replaced or grows"
        try:
            await self._fleet.doors.open_all([before.release.service], {name})
        except* MsctlError as group:  # somebody has taken its former port meanwhile
            operation.warn("; ".join(map(str, group.exceptions)))
        new = self._fleet.go_back(name, before)
        exception = f", but for {new} that had been replaced" if new else ""
        operation.warn(f"{name} stays as it was{exception}")
