"""Makes the fleet what it is wanted to be: keeps the wishes, acts on the reconciler's steps.

Commands change wishes and then wait; only the reconciler's steps start and stop anything.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

from msctl.clock import Clock
from msctl.config.models import Condition, FleetConfig, ServiceConfig
from msctl.core.plan import DependencyGraph
from msctl.core.reconcile import Start, Stop, Wish, is_held, reconcile, unmet
from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.core.router import RoutePolicy, Router
from msctl.core.summary import ServiceSummary, summarize
from msctl.errors import Failure
from msctl.model import ServiceInstance, ServiceStatus
from msctl.runtime.changes import Notifier
from msctl.runtime.crew import Crew
from msctl.runtime.doors import Doors
from msctl.runtime.events import EventLog
from msctl.runtime.life import Lives
from msctl.runtime.logstore import LogStore
from msctl.runtime.release import Release, Statement
from msctl.runtime.unused_doors import UnusedDoors

_ENDED = frozenset({ServiceStatus.ERROR, ServiceStatus.STOPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOptions:
    """How a stop goes about it; `timeout` in seconds replaces the services' own."""

    timeout: float | None = None
    kill: bool = False


class Orchestrator:
    """The fleet: what is wanted of it, and who looks after each instance."""

    def __init__(
        self,
        fleet: FleetConfig,
        *,
        registry: ServiceRegistry,
        router: Router,
        doors: Doors,
        logs: LogStore,
        events: EventLog,
        clock: Clock,
        random: Random,
    ) -> None:
        self.fleet = fleet
        self.registry = registry
        self.router = router
        self.doors = doors
        self.logs = logs
        self.events = events
        self.clock = clock
        self.changed = Notifier()
        self._crew = Crew(
            registry=registry, logs=logs, clock=clock, random=random, left=self._schedule
        )
        self._statements: dict[str, Statement] = {}
        self._last_revisions: dict[str, int] = {}
        self._stop_options: dict[str, StopOptions] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._unused_doors = UnusedDoors(
            doors, self._has_unused_door, self.changed, closed=self._door_closed
        )
        self._scheduled = False
        self.ending = False
        """Whether everything is being stopped, so that nothing can be wanted any more."""

    @asynccontextmanager
    async def running(self, lives: Lives) -> AsyncIterator[None]:
        """Supervise as long as the block lasts; at its end every instance is stopped."""
        unsubscribe = self.registry.subscribe(self._registry_changed)
        try:
            async with self._crew.running(lives) as self._tasks:
                try:
                    yield
                finally:
                    self.ending = True
                    self.stop_all()
                    await self._until_gone()
        finally:
            unsubscribe()

    def want(
        self,
        service: ServiceConfig,
        wish: Wish,
        *,
        environment: Mapping[str, str] | None = None,
        retry_startup: bool = False,
        reason: str = "",
    ) -> None:
        """Set what is wanted of one service, and with which configuration.

        `environment` is for a new revision; one that has it already keeps its own.
        `reason` is why there are to be more or fewer instances than before.
        """
        known = self._statements.get(service.name)
        told: Mapping[str, str] = self.addresses(service, self.resolved)
        if known and known.wish.revision == wish.revision:
            environment, told = known.release.environment, known.release.told
        elif known and environment is None:
            environment = known.release.environment
        release = Release(
            service=service, environment=environment or {}, retry_startup=retry_startup, told=told
        )
        self._state(Statement(wish, release), reason)

    def retry(self, name: str) -> None:
        """Have the instances of a service replaced that have ended; the others stay."""
        self._crew.outdate(name, lambda instance: instance.status in _ENDED)
        self._schedule()

    def replace(self, name: str, instance_id: str, reason: str) -> None:
        """Have one instance replaced by a new one, which starts first where two may run."""
        self._crew.outdate(name, lambda instance: instance.id == instance_id, reason)
        self._schedule()

    def go_back(self, name: str, before: Statement) -> int:
        """Give up replacing a service by a new revision: want again what was wanted before.

        What already serves of the new one stays, and counts as one of before; what does
        not, is stopped. Returns how many stay.
        """
        given_up, stay = self._statements[name].wish.revision, 0
        for member in self._crew.of(name) if given_up != before.wish.revision else ():
            serves = self._crew.instance(member).in_rotation and not member.supervisor.leaving
            if member.revision == given_up and serves:
                member.revision = before.wish.revision
                stay += 1
        self._state(before, "the change was given up")
        return stay

    def _state(self, statement: Statement, reason: str) -> None:
        service, wish = statement.release.service, statement.wish
        name = service.name
        self._tell_of_scaling(name, wish, reason)
        self._statements[name] = statement
        self._last_revisions[name] = max(self._last_revisions.get(name, 0), wish.revision)
        self._stop_options.pop(name, None)
        self.router.configure(name, RoutePolicy.from_config(service))
        for member in self._crew.of(name):
            if member.revision == wish.revision:
                supervisor = member.supervisor
                supervisor.release = supervisor.release.with_hot_keys(service)
        self._schedule()

    def _tell_of_scaling(self, name: str, wish: Wish, reason: str) -> None:
        before = self.wish(name)
        if before and before.wanted and wish.wanted and before.replicas != wish.replicas:
            counts = (str(before.replicas), str(wish.replicas))
            self.events.record(name, None, "scale", counts, reason)

    def unwant(self, names: list[str], options: StopOptions) -> None:
        """Stop these services; dependents among them go first."""
        for name in names:
            self._stop_options[name] = options
            if (known := self._statements.get(name)) is not None:
                wish = replace(known.wish, replicas=0, standby=False)
                self._statements[name] = replace(known, wish=wish)
        if options.kill:
            for member in (each for name in names for each in self._crew.of(name)):
                if member.supervisor.leaving:
                    member.supervisor.stop(kill=True)
        self._schedule()

    def stop_all(self) -> None:
        """Stop whatever is wanted still."""
        for name in self.present():
            self.unwant([name], self._stop_options_of(name))

    def wish(self, name: str) -> Wish | None:
        """Return what is wanted of a service, None when it was never started."""
        known = self._statements.get(name)
        return known.wish if known else None

    def statement(self, name: str) -> Statement | None:
        """Return what is wanted of a service and with what; None when it never was."""
        return self._statements.get(name)

    def next_revision(self, name: str) -> int:
        """Return a number that no revision of the service has had."""
        return self._last_revisions.get(name, 0) + 1

    def config(self, name: str) -> ServiceConfig | None:
        """Return the configuration that a service is wanted with, None if it never was."""
        known = self._statements.get(name)
        return known.release.service if known else None

    def releases(self, name: str) -> list[Release]:
        """Return what its instances were started with, and what the next ones would be."""
        known = self._statements.get(name)
        running = [m.supervisor.release for m in self._crew.of(name) if not m.supervisor.leaving]
        return [known.release, *running] if known else running

    def services(self) -> dict[str, ServiceConfig]:
        """Return the config's services and those that still run although it has lost them."""
        left = {n: c for n in self.wanted() if (c := self.config(n)) is not None}
        return self.fleet.services | {n: c for n, c in left.items() if n not in self.fleet.services}

    def wanted(self) -> list[str]:
        """Return the services that should run."""
        return [name for name, wish in self._wishes().items() if wish.wanted]

    def resolved(self, name: str) -> ServiceConfig | None:
        """Return a service with the port it really has; None for a name not in the config."""
        service = self.config(name) or self.fleet.services.get(name)
        return self.doors.resolved(service) if service else None

    def addresses(
        self, service: ServiceConfig, look_up: Callable[[str], ServiceConfig | None]
    ) -> dict[str, str]:
        """Return the URLs of its dependencies, of those that have one that is known."""
        found = {need.name: look_up(need.name) for need in service.dependencies}
        really = {name: self.doors.resolved(each).url for name, each in found.items() if each}
        return {name: url for name, url in really.items() if url is not None}

    def present(self) -> list[str]:
        """Return the services of which something is there still, wanted or not."""
        return [name for name in self._statements if not self.is_gone(name)]

    def graph(self) -> DependencyGraph:
        """Return the dependencies of the current configuration."""
        return DependencyGraph({n: s.dependencies for n, s in self.fleet.services.items()})

    def summary(self, name: str) -> ServiceSummary:
        """Return how a service is as a whole."""
        wish = self.wish(name)
        return summarize(self.registry.get_service(name), wish.replicas if wish else 0)

    def instances(self, name: str) -> tuple[ServiceInstance, ...]:
        """Return the instances of a service."""
        return self.registry.get_service(name)

    def is_current(self, name: str) -> bool:
        """Whether all instances are of the wanted revision and none is on its way out."""
        wish = self.wish(name)
        members = self._crew.of(name)
        return (
            wish is not None
            and len(members) == wish.replicas
            and all(m.revision == wish.revision and not m.supervisor.leaving for m in members)
        )

    def has_only_current(self, name: str) -> bool:
        """Whether no instance is on its way out, about to be replaced, or one too many."""
        wish, current = self.wish(name), self.current(name)
        return len(self._crew.of(name)) == len(current) <= (wish.replicas if wish else 0)

    def is_held(self, name: str) -> bool:
        """Whether the service is not replaced any further, because a new instance failed."""
        wish = self.wish(name)
        return wish is not None and is_held(wish, self._crew.facts_of(name))

    def is_gone(self, name: str) -> bool:
        """Whether nothing is left of a service, its front door included."""
        wish = self.wish(name)
        return (
            (wish is None or not wish.wanted)
            and not self._crew.of(name)
            and self._unused_doors.is_closed(name)
        )

    def failures(self, name: str) -> list[Failure]:
        """Return why instances of a service were given up."""
        wish = self.wish(name)
        return self._crew.failures(name, wish.revision) if wish else []

    def current(self, name: str) -> list[ServiceInstance]:
        """Return the instances of the wanted revision that are not on their way out."""
        wish = self.wish(name)
        return self._crew.current(name, wish.revision) if wish else []

    def has_ended(self, name: str) -> bool:
        """Whether all instances ended well by themselves, without being jobs: none runs again."""
        instances = self.instances(name)
        return bool(instances) and all(i.status is ServiceStatus.STOPPED for i in instances)

    def waits_for(self, name: str) -> list[str]:
        """Return the dependencies that a service cannot start without yet."""
        wish = self.wish(name)
        return unmet(wish, self._wishes(), self._crew.facts()) if wish and wish.replicas else []

    def hurry(self, instance: ServiceInstance) -> None:
        """Have an instance checked soon; a call waits for it."""
        member = self._crew.member(instance.service, instance.id)
        if member is not None:
            member.supervisor.hurry()

    def _registry_changed(self, event: RegistryEvent) -> None:
        self.events.record_change(event)
        self._schedule()

    def _schedule(self) -> None:
        """Reconcile in the next turn of the loop, once for all that happened in this one."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._reconcile)

    def _reconcile(self) -> None:
        self._scheduled = False
        for step in reconcile(self._wishes(), self._crew.facts()):
            match step:
                case Start(service):
                    release = self._statements[service].release
                    self._crew.start(step, release, job=self._is_awaited_job(service))
                case Stop(service, instance_id):
                    member = self._crew.member(service, instance_id)
                    assert member is not None, "only what exists is stopped"
                    options = self._stop_options_of(service)
                    member.supervisor.stop(kill=options.kill, timeout=options.timeout)
        assert self._tasks is not None, "steps are taken while running"
        self._unused_doors.close(self._tasks)
        self.changed.notify()

    def _wishes(self) -> dict[str, Wish]:
        return {name: statement.wish for name, statement in self._statements.items()}

    def _stop_options_of(self, service: str) -> StopOptions:
        return self._stop_options.get(service, StopOptions())

    def _is_awaited_job(self, service: str) -> bool:
        """Whether somebody waits for it to complete, which makes exit 0 its purpose."""
        return any(
            dependency.name == service and dependency.condition is Condition.COMPLETED
            for wish in self._wishes().values()
            for dependency in wish.dependencies
        )

    def _has_unused_door(self, name: str) -> bool:
        wish = self.wish(name)
        return wish is not None and not wish.wanted and not self._crew.of(name)

    def _door_closed(self, name: str) -> None:
        if name not in self.fleet.services:
            self.router.remove(name)  # the config has it no more, so nobody can ask for it

    async def _until_gone(self) -> None:
        await self.changed.until(
            lambda: not self._crew.services() and self._unused_doors.all_closed
        )
