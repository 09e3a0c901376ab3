"""The instances that exist, and who looks after each of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from msctl.clock import Clock
from msctl.core.reconcile import Fact, Facts, Start
from msctl.core.registry import ServiceRegistry
from msctl.findings import Failure
from msctl.model import ServiceInstance
from msctl.runtime.life import Lives
from msctl.runtime.logstore import LogStore
from msctl.runtime.release import NO_REVISION, Release
from msctl.runtime.supervisor import Supervisor

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Member:
    """One instance, from its start until nothing of it is left."""

    supervisor: Supervisor
    revision: int
    """Which wish it counts for."""


class Crew:
    """One task for each instance; a member whose task has ended is forgotten, and `left` told."""

    def __init__(
        self,
        *,
        registry: ServiceRegistry,
        logs: LogStore,
        clock: Clock,
        random: Random,
        left: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._logs = logs
        self._clock = clock
        self._random = random
        self._left = left
        self._lives: Lives | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._members: dict[str, dict[str, Member]] = {}

    @asynccontextmanager
    async def running(self, lives: Lives) -> AsyncIterator[asyncio.TaskGroup]:
        """Look after instances as long as the block lasts, and then until all have left."""
        self._lives = lives
        async with asyncio.TaskGroup() as self._tasks:
            yield self._tasks

    def start(self, step: Start, release: Release, *, job: bool) -> None:
        """Begin to look after a new instance; `job` says that exit code 0 is its purpose."""
        assert self._tasks is not None, "starts happen while running"
        assert self._lives is not None, "starts happen while running"
        supervisor = Supervisor(
            step.instance_id,
            release,
            lives=self._lives,
            log=self._logs.instance(step.instance_id),
            registry=self._registry,
            clock=self._clock,
            random=self._random,
            job=job,
        )
        members = self._members.setdefault(step.service, {})
        members[step.instance_id] = Member(supervisor, step.revision)
        self._tasks.create_task(self._supervise(supervisor), name=f"supervise {supervisor.id}")

    def of(self, service: str) -> list[Member]:
        """Return the members of a service, in the order of their start."""
        return list(self._members.get(service, {}).values())

    def member(self, service: str, instance_id: str) -> Member | None:
        """Return who is looked after under this id."""
        return self._members.get(service, {}).get(instance_id)

    def current(self, service: str, revision: int) -> list[ServiceInstance]:
        """Return the instances of this revision that are not on their way out."""
        facts = self.facts_of(service)
        return [f.instance for f in facts if f.revision == revision and not f.leaving]

    def failures(self, service: str, revision: int) -> list[Failure]:
        """Return why instances of this revision were given up."""
        of_it = [m.supervisor for m in self.of(service) if m.revision == revision]
        return [supervisor.failure for supervisor in of_it if supervisor.failure]

    def outdate(
        self, service: str, chosen: Callable[[ServiceInstance], bool], reason: str = ""
    ) -> None:
        """Let these instances count for no wish any more, so that they are replaced."""
        for member in self.of(service):
            instance = self.instance(member)
            if member.supervisor.leaving or not chosen(instance):
                continue
            member.revision = NO_REVISION
            if reason:
                self._logs.instance(instance.id).note(f"replacing it: {reason}")
                self._registry.update(instance.id, instance.generation, reason=reason)

    def services(self) -> list[str]:
        """Return the services that have a member."""
        return list(self._members)

    def instance(self, member: Member) -> ServiceInstance:
        """Return the member as the registry knows it; one that is about to start is not there."""
        name, service = member.supervisor.id, member.supervisor.service.name
        known = self._registry.get_instance(name)
        return known or ServiceInstance(id=name, service=service)

    def facts(self) -> Facts:
        """Return all members as the reconciler wants to see them."""
        return {name: self.facts_of(name) for name in self._members}

    def facts_of(self, service: str) -> list[Fact]:
        """Return the members of one service as the reconciler wants to see them."""
        return [
            Fact(
                instance=self.instance(member),
                revision=member.revision,
                leaving=member.supervisor.leaving,
            )
            for member in self.of(service)
        ]

    async def _supervise(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
        except Exception:
            # One instance's trouble is never the fleet's.
            logger.exception("supervisor failed", extra={"instance": supervisor.id})
        finally:
            members = self._members[supervisor.service.name]
            del members[supervisor.id]
            if not members:
                del self._members[supervisor.service.name]
            self._left()
