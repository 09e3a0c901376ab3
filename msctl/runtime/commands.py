"""up, start, restart, stop, wait: each states a wish and waits for its truth.

None of them starts or stops anything itself; that is the reconciler's.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from msctl.config.models import FleetConfig
from msctl.config.naming import check_services
from msctl.core.plan import DependencyGraph
from msctl.runtime.operation import Change, Operation, Outcome
from msctl.runtime.orchestrator import Orchestrator, StopOptions
from msctl.runtime.planning import Approach, Plan, make_plan, without_profile
from msctl.runtime.waiting import describe, is_completed, until_healthy

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
    timeout: float | None = None


class Commands:
    """The commands that change the fleet, against one orchestrator."""

    def __init__(self, orchestrator: Orchestrator, load: LoadFleet) -> None:
        self._fleet = orchestrator
        self._load = load

    async def up(self, operation: Operation, options: UpOptions) -> Outcome:
        """Start what is missing, change what the config changed, wait until all is healthy."""
        fleet = await asyncio.to_thread(self._load, options.files, options.environment)
        graph = DependencyGraph({n: s.dependencies for n, s in fleet.services.items()})
        check_services(options.scale, fleet.services)
        names = graph.closure(
            options.services or without_profile(fleet, options.profiles), no_deps=options.no_deps
        )
        for name in options.scale.keys() - set(names):
            operation.warn(f"--scale {name}: it is not among the services that are started")
        waits = not options.no_deps
        plan = make_plan(self._fleet, fleet, names, Approach.UPDATE, options.scale, waits=waits)
        leaving: list[str] = []
        if not options.services:
            leaving = [name for name in self._fleet.wanted() if name not in fleet.services]
            plan.changes += [
                Change(service=name, action="stopped", reason="no longer in the config")
                for name in leaving
            ]
        await self._carry_out(plan, options.environment, retry_startup=not options.wait)
        self._fleet.unwant(leaving, StopOptions())
        operation.say("accepted", operation=operation.id, services=self._overview(names))
        if not options.wait:
            return Outcome(changes=plan.changes, services=list(names))
        outcome = await until_healthy(self._fleet, operation, names, options.timeout)
        await self._until_gone(leaving)
        outcome.changes = plan.changes
        if outcome.exit_code and not options.keep:
            await self._roll_back(plan.started())
        return outcome

    async def start(
        self,
        operation: Operation,
        names: tuple[str, ...],
        environment: Mapping[str, str],
        timeout: float | None,
    ) -> Outcome:
        """Start what does not run, and try again what was given up; leave the rest alone."""
        fleet = self._fleet.fleet
        check_services(names, fleet.services)
        chosen = self._fleet.graph().closure(names or without_profile(fleet, frozenset()))
        plan = make_plan(self._fleet, fleet, chosen, Approach.MISSING)
        await self._carry_out(plan, environment)
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        outcome = await until_healthy(self._fleet, operation, chosen, timeout)
        outcome.changes = plan.changes
        return outcome

    async def restart(
        self,
        operation: Operation,
        names: tuple[str, ...],
        environment: Mapping[str, str],
        timeout: float | None,
    ) -> Outcome:
        """Read config and environment again and replace every instance."""
        fleet = await asyncio.to_thread(self._load, (), environment)
        check_services(names, fleet.services)
        graph = DependencyGraph({n: s.dependencies for n, s in fleet.services.items()})
        running = [name for name in self._fleet.wanted() if name in fleet.services]
        chosen = graph.closure(names or running, no_deps=True)
        plan = make_plan(self._fleet, fleet, chosen, Approach.ANEW)
        await self._carry_out(plan, environment)
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        outcome = await until_healthy(self._fleet, operation, chosen, timeout)
        outcome.changes = plan.changes
        return outcome

    async def stop(
        self, operation: Operation, names: tuple[str, ...], options: StopOptions
    ) -> Outcome:
        """Stop these services, or everything and then the daemon; cannot be cancelled."""
        check_services(names, self._fleet.fleet.services | dict.fromkeys(self._fleet.wanted()))
        chosen = names or tuple(self._fleet.present())
        operation.say("accepted", operation=operation.id, services=self._overview(chosen))
        unfollow = operation.follow(chosen)
        if names:
            self._warn_of_dependents(operation, names)
        running = [name for name in chosen if not self._fleet.is_gone(name)]
        self._fleet.unwant(list(chosen), options)
        await self._until_gone(chosen)
        unfollow()
        return Outcome(
            changes=[Change(service=name, action="stopped") for name in running],
            services=list(chosen),
        )

    async def wait(
        self, operation: Operation, names: tuple[str, ...], goal: Goal, timeout: float | None
    ) -> Outcome:
        """Wait for a state of these services, or of all that are wanted."""
        check_services(names, self._fleet.fleet.services)
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

    def _is_completed(self, name: str) -> bool:
        return is_completed(self._fleet, name)

    async def _carry_out(
        self, plan: Plan, environment: Mapping[str, str], *, retry_startup: bool = False
    ) -> None:
        """Open the doors, then state the wishes; when a port is taken nothing has happened."""
        services = plan.fleet.services
        running = {name for name in plan.wishes if not self._fleet.is_gone(name)}
        await self._fleet.doors.open_all([services[name] for name in plan.wishes], running)
        self._fleet.fleet = plan.fleet
        for name in plan.fresh():
            self._fleet.environments[name] = environment
        for name, wish in plan.wishes.items():
            self._fleet.want(services[name], wish, retry_startup=retry_startup)

    async def _roll_back(self, names: list[str]) -> None:
        """Stop what this command started, and nothing else."""
        self._fleet.unwant(names, StopOptions())
        await self._until_gone(names)

    async def _until_gone(self, names: Iterable[str]) -> None:
        names = tuple(names)
        await self._fleet.changed.until(lambda: all(map(self._fleet.is_gone, names)))

    # Words

    def _warn_of_dependents(self, operation: Operation, names: tuple[str, ...]) -> None:
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
