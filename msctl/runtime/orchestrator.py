"""Makes the fleet what it is wanted to be: keeps the wishes, acts on the reconciler's steps.

Commands change wishes and then wait; only the reconciler's steps start and stop anything.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from msctl.clock import Clock
from msctl.config.models import Condition, FleetConfig, ServiceConfig
from msctl.core.plan import DependencyGraph
from msctl.core.reconcile import Fact, Facts, Start, Stop, Wish, reconcile, unmet
from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.core.router import RoutePolicy, Router
from msctl.core.summary import ServiceSummary, summarize
from msctl.errors import Failure
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.runtime.changes import Notifier
from msctl.runtime.doors import Doors
from msctl.runtime.events import EventLog
from msctl.runtime.life import Lives
from msctl.runtime.logstore import LogStore
from msctl.runtime.supervisor import Supervisor

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Supervised:
    supervisor: Supervisor
    revision: int


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
        self.environments: dict[str, Mapping[str, str]] = {}
        self._random = random
        self._lives: Lives | None = None
        self._wishes: dict[str, Wish] = {}
        self._configs: dict[str, ServiceConfig] = {}
        self._retry_startup: set[str] = set()
        self._supervised: dict[str, dict[str, _Supervised]] = {}
        self._stop_options: dict[str, StopOptions] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._closing_doors: set[str] = set()
        self._scheduled = False

    @asynccontextmanager
    async def running(self, lives: Lives) -> AsyncIterator[None]:
        """Supervise as long as the block lasts; at its end every instance is stopped."""
        self._lives = lives
        unsubscribe = self.registry.subscribe(self._registry_changed)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    yield
                finally:
                    self.stop_all()
                    await self._until_gone()
        finally:
            unsubscribe()

    # What is wanted

    def want(self, service: ServiceConfig, wish: Wish, *, retry_startup: bool = False) -> None:
        """Set what is wanted of one service, and with which configuration."""
        self._configs[service.name] = service
        self._wishes[service.name] = wish
        self._stop_options.pop(service.name, None)
        (self._retry_startup.add if retry_startup else self._retry_startup.discard)(service.name)
        self.router.configure(service.name, RoutePolicy.from_config(service))
        for supervised in self._of(service.name):
            supervised.supervisor.service = service
        self._schedule()

    def unwant(self, names: list[str], options: StopOptions) -> None:
        """Stop these services; dependents among them go first."""
        for name in names:
            self._stop_options[name] = options
            if name in self._wishes:
                self._wishes[name] = replace(self._wishes[name], replicas=0)
        if options.kill:
            for supervised in (each for name in names for each in self._of(name)):
                if supervised.supervisor.leaving:
                    supervised.supervisor.stop(kill=True)
        self._schedule()

    def stop_all(self) -> None:
        """Stop whatever is wanted still."""
        for name in self.present():
            self.unwant([name], self._stop_options_of(name))

    def wish(self, name: str) -> Wish | None:
        """Return what is wanted of a service, None when it was never started."""
        return self._wishes.get(name)

    def config(self, name: str) -> ServiceConfig | None:
        """Return the configuration that a service runs with, None when it was never started."""
        return self._configs.get(name)

    def services(self) -> dict[str, ServiceConfig]:
        """Return the config's services and those that still run although it has lost them."""
        left = {n: c for n in self.wanted() if (c := self.config(n)) is not None}
        return self.fleet.services | {n: c for n, c in left.items() if n not in self.fleet.services}

    def wanted(self) -> list[str]:
        """Return the services that should run."""
        return [name for name, wish in self._wishes.items() if wish.replicas]

    def resolved(self, name: str) -> ServiceConfig | None:
        """Return a service with the port it really has; None for a name not in the config."""
        service = self._configs.get(name) or self.fleet.services.get(name)
        return self.doors.resolved(service) if service else None

    def present(self) -> list[str]:
        """Return the services of which something is there still, wanted or not."""
        return [name for name in self._wishes if not self.is_gone(name)]

    def graph(self) -> DependencyGraph:
        """Return the dependencies of the current configuration."""
        return DependencyGraph({n: s.dependencies for n, s in self.fleet.services.items()})

    # What is

    def summary(self, name: str) -> ServiceSummary:
        """Return how a service is as a whole."""
        wish = self._wishes.get(name)
        return summarize(self.registry.get_service(name), wish.replicas if wish else 0)

    def instances(self, name: str) -> tuple[ServiceInstance, ...]:
        """Return the instances of a service."""
        return self.registry.get_service(name)

    def is_current(self, name: str) -> bool:
        """Whether all instances are of the wanted revision and none is on its way out."""
        wish = self._wishes.get(name)
        supervised = self._of(name)
        return (
            wish is not None
            and len(supervised) == wish.replicas
            and all(s.revision == wish.revision and not s.supervisor.leaving for s in supervised)
        )

    def is_gone(self, name: str) -> bool:
        """Whether nothing is left of a service, its front door included."""
        wish = self._wishes.get(name)
        return (
            (wish is None or wish.replicas == 0)
            and not self._of(name)
            and name not in self.doors.names()
            and name not in self._closing_doors
        )

    def failures(self, name: str) -> list[Failure]:
        """Return why instances of a service were given up."""
        wish = self._wishes.get(name)
        return [
            s.supervisor.failure
            for s in self._of(name)
            if s.supervisor.failure and wish and s.revision == wish.revision
        ]

    def has_ended(self, name: str) -> bool:
        """Whether all instances ended well by themselves, without being jobs: none runs again."""
        instances = self.instances(name)
        return bool(instances) and all(i.status is ServiceStatus.STOPPED for i in instances)

    def waits_for(self, name: str) -> list[str]:
        """Return the dependencies that a service cannot start without yet."""
        wish = self._wishes.get(name)
        return unmet(wish, self._wishes, self._facts()) if wish else []

    def hurry(self, instance: ServiceInstance) -> None:
        """Have an instance checked soon; a call waits for it."""
        supervised = self._supervised.get(instance.service, {}).get(instance.id)
        if supervised is not None:
            supervised.supervisor.hurry()

    # From wish to fact

    def _registry_changed(self, event: RegistryEvent) -> None:
        before, after = event.before, event.after
        reason = after.reason if after else ""
        statuses = [i.status if i else ServiceStatus.STOPPED for i in (before, after)]
        healths = [i.health if i else Health.UNKNOWN for i in (before, after)]
        record = partial(self.events.record, event.service, event.instance_id, reason=reason)
        if statuses[0] is not statuses[1]:
            record("status", (statuses[0], statuses[1]))
        if healths[0] is not healths[1]:
            record("health", (healths[0], healths[1]))
        self._schedule()

    def _schedule(self) -> None:
        """Reconcile in the next turn of the loop, once for all that happened in this one."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._reconcile)

    def _reconcile(self) -> None:
        self._scheduled = False
        for step in reconcile(self._wishes, self._facts()):
            match step:
                case Start(service, instance_id, revision):
                    self._start(service, instance_id, revision)
                case Stop(service, instance_id):
                    options = self._stop_options_of(service)
                    self._supervised[service][instance_id].supervisor.stop(
                        kill=options.kill, timeout=options.timeout
                    )
        self._close_unused_doors()
        self.changed.notify()

    def _stop_options_of(self, service: str) -> StopOptions:
        return self._stop_options.get(service, StopOptions())

    def _start(self, service: str, instance_id: str, revision: int) -> None:
        assert self._tasks is not None, "starts happen while running"
        assert self._lives is not None, "starts happen while running"
        supervisor = Supervisor(
            instance_id,
            self._configs[service],
            lives=self._lives,
            log=self.logs.instance(instance_id),
            registry=self.registry,
            clock=self.clock,
            random=self._random,
            retry_startup=service in self._retry_startup,
            job=self._is_awaited_job(service),
        )
        self._supervised.setdefault(service, {})[instance_id] = _Supervised(supervisor, revision)
        self._tasks.create_task(self._supervise(supervisor), name=f"supervise {instance_id}")

    def _is_awaited_job(self, service: str) -> bool:
        """Whether somebody waits for it to complete, which makes exit 0 its purpose."""
        return any(
            dependency.name == service and dependency.condition is Condition.COMPLETED
            for wish in self._wishes.values()
            for dependency in wish.dependencies
        )

    async def _supervise(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
        except Exception:
            # One instance's trouble is never the fleet's.
            logger.exception("supervisor failed", extra={"instance": supervisor.id})
        finally:
            instances = self._supervised[supervisor.service.name]
            del instances[supervisor.id]
            if not instances:
                del self._supervised[supervisor.service.name]
            self._schedule()

    def _facts(self) -> Facts:
        return {
            name: [self._fact(name, instance_id, each) for instance_id, each in instances.items()]
            for name, instances in self._supervised.items()
        }

    def _fact(self, service: str, instance_id: str, supervised: _Supervised) -> Fact:
        instance = self.registry.get_instance(instance_id)
        return Fact(
            instance=instance or ServiceInstance(id=instance_id, service=service),
            revision=supervised.revision,
            leaving=supervised.supervisor.leaving,
        )

    def _close_unused_doors(self) -> None:
        assert self._tasks is not None, "doors are closed while running"
        for name in self.doors.names():
            if self._has_unused_door(name):
                self._closing_doors.add(name)
                self._tasks.create_task(self._close_door(name), name=f"close door {name}")

    async def _close_door(self, name: str) -> None:
        try:
            if self._has_unused_door(name):  # it may be wanted again meanwhile
                await self.doors.close(name)
        finally:
            self._closing_doors.discard(name)
            self.changed.notify()

    def _has_unused_door(self, name: str) -> bool:
        wish = self._wishes.get(name)
        return wish is not None and wish.replicas == 0 and not self._of(name)

    async def _until_gone(self) -> None:
        await self.changed.until(
            lambda: not self._supervised and not self.doors.names() and not self._closing_doors
        )

    def _of(self, service: str) -> list[_Supervised]:
        return list(self._supervised.get(service, {}).values())
