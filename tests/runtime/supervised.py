"""One supervisor with everything around it faked, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from msctl.config.models import ServiceConfig
from msctl.core.registry import RegistryEvent
from msctl.errors import Failure
from msctl.model import ServiceInstance
from msctl.runtime.release import Release
from msctl.runtime.supervisor import Supervisor
from tests.runtime.bench import Bench, fleet_of
from tests.runtime.fakes import FakeProbe, FakeProcess
from tests.runtime.virtual import VirtualClock, eventually


@dataclass
class Supervised:
    """The instance `NAME-1`, what was seen of it, and what it is made of."""

    bench: Bench
    supervisor: Supervisor
    task: asyncio.Task[None]
    seen: list[str] = field(default_factory=list)
    """Each status that it went through."""

    @property
    def id(self) -> str:
        return self.supervisor.id

    @property
    def instance(self) -> ServiceInstance:
        return self.bench.instance(self.id)

    @property
    def status(self) -> str:
        return self.bench.status_of(self.id)

    @property
    def process(self) -> FakeProcess:
        return self.bench.spawner.last(self.id)

    @property
    def probe(self) -> FakeProbe:
        return self.bench.lives.probes[self.id]

    @property
    def starts(self) -> int:
        return self.bench.spawner.started(self.id)

    @property
    def failure(self) -> Failure:
        assert self.supervisor.failure is not None
        return self.supervisor.failure

    async def until(self, status: str, *, within: float = 60.0) -> None:
        await eventually(
            lambda: self.status == status, f"{status}; it is {self.status}", within=within
        )

    async def gone(self, *, within: float) -> None:
        await eventually(self.task.done, f"gone; it is {self.status}", within=within)

    def notes(self) -> list[str]:
        """What msctl wrote into the instance's log; afterwards nothing is written any more."""
        self.bench.logs.close()
        self.bench.logs.open = lambda: None  # type: ignore[method-assign]
        return [
            line.removeprefix("msctl ")
            for line in self.bench.log(self.id)
            if line.startswith("msctl ")
        ]

    def _heard(self, event: RegistryEvent) -> None:
        status = str(event.after.status) if event.after else "gone"
        if not self.seen or self.seen[-1] != status:
            self.seen.append(status)


def bench(directory: Path) -> Bench:
    return Bench(directory, fleet_of(directory))


@asynccontextmanager
async def supervised(
    where: Bench | Path, service: ServiceConfig, *, retry_startup: bool = False, job: bool = False
) -> AsyncIterator[Supervised]:
    """Supervise as long as the block lasts; afterwards the instance is gone."""
    parts = where if isinstance(where, Bench) else bench(where)
    instance_id = f"{service.name}-1"
    supervisor = Supervisor(
        instance_id,
        Release(service=service, environment={}, retry_startup=retry_startup),
        lives=parts.lives,
        log=parts.logs.instance(instance_id),
        registry=parts.registry,
        clock=VirtualClock(),
        random=Random(1),
        job=job,
    )
    parts.logs.open()
    one = Supervised(parts, supervisor, asyncio.create_task(supervisor.run()))
    unsubscribe = parts.registry.subscribe(one._heard)
    try:
        yield one
    finally:
        supervisor.stop(kill=True)
        await one.task
        unsubscribe()
        if parts.logs._thread.is_alive():
            parts.logs.close()
    assert not parts.spawner.living()
    assert parts.registry.get_instance(instance_id) is None
