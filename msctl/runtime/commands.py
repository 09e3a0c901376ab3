"""up, start, restart, scale, stop, wait: each states a wish and waits for its truth.

None of them starts or stops anything itself; that is the reconciler's.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from msctl.config.models import FleetConfig
from msctl.config.naming import choose_services
from msctl.core.plan import DependencyGraph
from msctl.errors import FleetError, MsctlError, UsageError
from msctl.proxy.meters import Meters
from msctl.runtime.operation import Change, Operation, Outcome
from msctl.runtime.orchestrator import Orchestrator, StopOptions
from msctl.runtime.planning import (
    Approach,
    Manner,
    Plan,
    check_scale,
    make_plan,
    spread,
    without_profile,
)
from msctl.runtime.undertaking import Undertaking
from msctl.runtime.waiting import Claim, describe, is_completed, until_gone, until_healthy

LoadFleet = Callable[[tuple[str, ...], Mapping[str, str]], FleetConfig]
"""Reads the configuration again, from these files or without any from those of before.

The environment is that of the command, for `${}`.
"""


class Goal(Enum):
    """What `wait` waits for."""

    HEALTHY = "healthy"
    STOPPED = "stopped"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `msctl up` was asked for; `timeout` in seconds."""

    services: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    profiles: frozenset[str] = frozenset()
    scale: Mapping[str, int] = field(default_factory=dict)
    no_deps: bool = False
    wait: bool = True
    keep: bool = False
    watch: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOptions:
    """How `msctl restart` goes about it; `timeout` in seconds."""

    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    hard: bool = False
    """Whether the old instances stop before the new ones start."""
    parallel: int = 1
    """How many instances of a service are replaced at once."""


class Commands:
    """The commands that change the fleet, against one orchestrator.

    One states its wishes at a time: of two that come at once the later one is heard last,
    and it plans with what the earlier one wanted.
    """

    def __init__(self, orchestrator: Orchestrator, load: LoadFleet, meters: Meters) -> None:
        self._fleet = orchestrator
        self._load = load
        self._meters = meters
        self._stating = asyncio.Lock()
        self.watched: set[str] = set()
        """Services whose files are followed because `up --watch` said so."""

    async def up(self, operation: Operation, options: UpOptions) -> Outcome:
        """Start what is missing, change what the config changed, wait until all is healthy."""
        async with self._stating:
            fleet = await asyncio.to_thread(self._load, options.files, options.environment)
            options = replace(options, scale=spread(options.scale, fleet.services))
            check_scale(fleet.services, options.scale)
            asked_for = choose_services(options.services, fleet.services)
            names = _graph(fleet).closure(
                asked_for or without_profile(fleet, options.profiles), no_deps=options.no_deps
            )
            manner = Manner(
                approach=Approach.UPDATE, scale=options.scale, waits=not options.no_deps
            )
            plan = make_plan(self._fleet, fleet, names, manner)
            self.watched.update(names if options.watch else ())
            stale = [] if options.services else self._no_longer_in(fleet)
            undertaking = await self._state(
                plan, options.environment, stale, retry_startup=not options.wait
            )
        for name in options.scale.keys() - set(names):
            operation.warn(f"--scale {name}: it is not among the services that are started")
        operation.say("accepted", operation=operation.id, services=self._overview(names))
        if not options.wait:
            return Outcome(changes=plan.changes, services=list(names))
        outcome = await undertaking.see_through(operation, names, options.timeout)
        await undertaking.until_gone(stale)
        if outcome.exit_code and not options.keep:
            await undertaking.undo(operation, starts=True)
        return undertaking.conclude(outcome)

    async def start(
        self,
        operation: Operation,
        names: tuple[str, ...],
        environment: Mapping[str, str],
        timeout: float | None,
    ) -> Outcome:
        """Start what does not run, and try again what was given up; leave the rest alone."""
        async with self._stating:
            fleet = self._fleet.fleet
            names = choose_services(names, fleet.services)
            chosen = self._fleet.graph().closure(names or without_profile(fleet, frozenset()))
            plan = make_plan(self._fleet, fleet, chosen, Manner(approach=Approach.MISSING))
            undertaking = await self._state(plan, environment)
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        return undertaking.conclude(await undertaking.see_through(operation, chosen, timeout))

    async def restart(
        self, operation: Operation, names: tuple[str, ...], options: RestartOptions
    ) -> Outcome:
        """Read config and environment again and replace every instance.

        Each new one starts beside the old ones, of which one goes when it serves. When one
        does not get healthy, or when that takes too long or is interrupted, those that are
        left of the old ones stay.
        """
        if options.parallel < 1:
            raise UsageError(f"--parallel: expected 1 or more, not {options.parallel}")
        async with self._stating:
            fleet = await asyncio.to_thread(self._load, (), options.environment)
            names = choose_services(names, fleet.services)
            running = [name for name in self._fleet.wanted() if name in fleet.services]
            chosen = _graph(fleet).closure(names or running, no_deps=True)
            manner = Manner(approach=Approach.ANEW, hard=options.hard, parallel=options.parallel)
            plan = make_plan(self._fleet, fleet, chosen, manner)
            undertaking = await self._state(plan, options.environment)
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        outcome = await undertaking.see_through(operation, chosen, options.timeout)
        if outcome.exit_code:
            await undertaking.undo(operation)
        return undertaking.conclude(outcome)

    async def scale(
        self,
        operation: Operation,
        replicas: Mapping[str, int],
        timeout: float | None,
        environment: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Have so many instances of each service; of one that does not run, start them.

        With 0 its front door stays open. Dependencies are started as `start` does it.
        """
        async with self._stating:
            fleet = self._fleet.fleet
            replicas = spread(replicas, fleet.services)
            check_scale(fleet.services, replicas)
            chosen = self._fleet.graph().closure([name for name, n in replicas.items() if n])
            chosen += tuple(name for name, n in replicas.items() if not n and name not in chosen)
            manner = Manner(approach=Approach.MISSING, scale=replicas)
            plan = make_plan(self._fleet, fleet, chosen, manner)
            undertaking = await self._state(plan, environment or os.environ)
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        self._warn_of_dependents(operation, [name for name, n in replicas.items() if not n])
        return undertaking.conclude(await undertaking.see_through(operation, chosen, timeout))

    async def stop(
        self, operation: Operation, names: tuple[str, ...], options: StopOptions
    ) -> Outcome:
        """Stop these services, or everything and then the daemon; cannot be cancelled."""
        known = self._fleet.fleet.services | dict.fromkeys(self._fleet.wanted())
        names = choose_services(names, known)
        async with self._stating:
            chosen = names or tuple(self._fleet.present())
            operation.say("accepted", operation=operation.id, services=self._overview(chosen))
            unfollow = operation.follow(chosen)
            self._warn_of_dependents(operation, names)
            running = [name for name in chosen if not self._fleet.is_gone(name)]
            self._fleet.unwant(list(chosen), options)
            self.watched.difference_update(chosen)
            claim = Claim.on(self._fleet, chosen)
        await until_gone(self._fleet, claim, chosen)
        unfollow()
        return claim.overtaken(
            Outcome(
                changes=[Change(service=name, action="stopped") for name in running],
                services=list(chosen),
            )
        )

    async def wait(
        self, operation: Operation, names: tuple[str, ...], goal: Goal, timeout: float | None
    ) -> Outcome:
        """Wait for a state of these services, or of all that are wanted."""
        names = choose_services(names, self._fleet.fleet.services)
        chosen = names or tuple(self._fleet.wanted())
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        if goal is Goal.HEALTHY:
            return await until_healthy(self._fleet, operation, chosen, timeout)
        reached = {Goal.STOPPED: self._fleet.is_gone, Goal.COMPLETED: self._is_completed}[goal]

        def failed() -> bool:
            return goal is Goal.COMPLETED and any(map(self._fleet.failures, chosen))

        ending = await operation.until(
            lambda: all(map(reached, chosen)), failed=failed, timeout=timeout
        )
        late = [name for name in chosen if not reached(name)]
        lateness = f"not {goal.value} within {timeout or 0:g} s"
        return describe(self._fleet, ending, chosen, late, lateness)

    # What happens by itself

    async def renew(self, name: str, reason: str) -> None:
        """Replace the instances of a service as `restart` does, with the configuration it has.

        Nothing when it is not wanted (any more). Raises FleetError when a new one does not
        get healthy: those that are left of the old ones stay.
        """
        async with self._stating:
            known = self._fleet.statement(name)
            if known is None or not known.wish.wanted:
                return
            fleet = self._fleet.fleet
            as_it_is = {**fleet.services, name: known.release.service}
            manner = Manner(approach=Approach.ANEW, reason=reason)
            seen = fleet.model_copy(update={"services": as_it_is})
            plan = make_plan(self._fleet, seen, [name], manner)
            plan.fleet = fleet
            undertaking = await self._state(plan, None)
        operation = Operation(0, self._fleet.changed, self._fleet.events)
        outcome = await undertaking.see_through(operation, (name,), None)
        if outcome.exit_code:
            await undertaking.undo(operation)
            raise FleetError(outcome.failures, outcome.message)

    async def adjust(self, name: str, replicas: int, reason: str) -> None:
        """Have so many instances of a service from now on; nothing when it is not wanted."""
        async with self._stating:
            known = self._fleet.statement(name)
            if known is not None and known.wish.wanted:
                wish = replace(known.wish, replicas=replicas, standby=replicas == 0)
                self._fleet.want(known.release.service, wish, reason=reason)

    def _is_completed(self, name: str) -> bool:
        return is_completed(self._fleet, name)

    async def _state(
        self,
        plan: Plan,
        environment: Mapping[str, str] | None,
        stale: Sequence[str] = (),
        *,
        retry_startup: bool = False,
    ) -> Undertaking:
        """Open the doors, then state the wishes; when a port is taken nothing has happened.

        What is `stale` is stopped.
        """
        running = {name for name in plan.wishes if not self._fleet.is_gone(name)}
        opened = await self._fleet.doors.open_all(plan.services.values(), running)
        if self._fleet.ending:
            for name in opened:
                await self._fleet.doors.close(name)
            raise MsctlError("the fleet is being stopped")
        before = {name: self._fleet.statement(name) for name in plan.wishes}
        self._fleet.fleet = plan.fleet
        for name in plan.retried:
            self._fleet.retry(name)
        for name, wish in plan.wishes.items():
            self._fleet.want(
                plan.services[name],
                wish,
                environment=environment,
                retry_startup=retry_startup,
                reason=plan.reasons[name],
            )
        self._fleet.unwant(list(stale), StopOptions())
        plan.changes += [
            Change(service=name, action="stopped", reason="no longer in the config")
            for name in stale
        ]
        return Undertaking(self._fleet, plan, before, meters=self._meters, stating=self._stating)

    def _no_longer_in(self, fleet: FleetConfig) -> list[str]:
        return [name for name in self._fleet.wanted() if name not in fleet.services]

    # Words

    def _warn_of_dependents(self, operation: Operation, names: Collection[str]) -> None:
        graph = self._fleet.graph()
        wanted = set(self._fleet.wanted())
        for name in names:
            if name not in self._fleet.fleet.services:
                continue
            left = [other for other in graph.dependents(name) if other in wanted - set(names)]
            if left:
                operation.warn(f"{name} is needed by {', '.join(left)}, still running")

    def _overview(self, names: Iterable[str]) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for name in names:
            service, summary = self._fleet.resolved(name), self._fleet.summary(name)
            wish = self._fleet.wish(name)
            rows.append(
                {
                    "name": name,
                    "status": summary.status,
                    "health": summary.health,
                    "port": service.port if service else None,
                    "replicas": wish.replicas if wish else 0,
                    "ready": summary.ready,
                    "dependencies": [d.name for d in service.dependencies] if service else [],
                }
            )
        return rows


def _graph(fleet: FleetConfig) -> DependencyGraph:
    return DependencyGraph({n: s.dependencies for n, s in fleet.services.items()})
