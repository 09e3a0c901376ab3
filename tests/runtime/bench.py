"""A whole fleet with fake processes, in virtual time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from msctl.config.models import FleetConfig, ServiceConfig
from msctl.core.discovery import ServiceDiscovery
from msctl.core.probe_rate import ProbeRate
from msctl.core.registry import ServiceRegistry
from msctl.core.router import Router
from msctl.model import ServiceInstance
from msctl.proxy.meters import Meters
from msctl.runtime.commands import Commands
from msctl.runtime.doors import Doors
from msctl.runtime.environment import FleetFacts
from msctl.runtime.events import EventLog
from msctl.runtime.limits import Limiter
from msctl.runtime.logstore import LogStore
from msctl.runtime.operation import Operation
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.reaper import Reaper
from msctl.runtime.statedir import StateDir
from msctl.runtime.status import StatusReport
from tests.runtime.fakes import FakeGateway, FakeLives, FakeSpawner, FakeTraffic
from tests.runtime.virtual import START, VirtualClock

GATEWAY_URL = "http://127.0.0.1:8700"


def api(name: str, **keys: Any) -> ServiceConfig:
    """A service with a front door on a port that the system chooses."""
    return ServiceConfig(name=name, **({"port": "auto", "app": "x:app"} | keys))


def worker(name: str, **keys: Any) -> ServiceConfig:
    """A program without a port and without a health check."""
    return ServiceConfig(name=name, **({"service_type": "worker", "command": "work"} | keys))


def fleet_of(directory: Path, *services: ServiceConfig) -> FleetConfig:
    return FleetConfig(
        project="shop", project_dir=directory, services={s.name: s for s in services}
    )


@dataclass
class Bench:
    """The parts of a daemon, put together as it does, with nothing real below them."""

    directory: Path
    fleet: FleetConfig
    spawner: FakeSpawner = field(default_factory=FakeSpawner)
    traffic: FakeTraffic = field(default_factory=FakeTraffic)
    gateway: FakeGateway = field(default_factory=FakeGateway)

    def __post_init__(self) -> None:
        clock, self.registry = VirtualClock(), ServiceRegistry()
        self.state = StateDir(self.directory / ".msctl")
        self.logs = LogStore(self.state.logs, clock)
        self.events = EventLog(clock)
        self.meters = Meters()
        self.router = Router(ServiceDiscovery(self.registry), Random(1))
        self.doors = Doors(self.gateway)
        self.orchestrator = Orchestrator(
            self.fleet,
            registry=self.registry,
            router=self.router,
            doors=self.doors,
            logs=self.logs,
            events=self.events,
            clock=clock,
            random=Random(1),
        )
        self.commands = Commands(self.orchestrator, self._load, self.meters)
        self.status = StatusReport(self.orchestrator, GATEWAY_URL, START)
        self.loaded: FleetConfig | Exception = self.fleet
        self.lives = FakeLives(
            spawner=self.spawner,
            reaper=Reaper(),
            state=self.state,
            project_dir=self.directory,
            clock=clock,
            random=Random(1),
            probe_rate=ProbeRate(),
            facts=FleetFacts("shop", Path("/shop"), GATEWAY_URL, self.orchestrator.resolved),
            named_ports=frozenset(),
            traffic=self.traffic,
            limiter=Limiter({}, ()),
        )
        self._operations = 0

    def _load(self, _files: tuple[str, ...], _environment: Mapping[str, str]) -> FleetConfig:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Orchestrator]:
        """Supervise as long as the block lasts; afterwards nothing may be left."""
        self.logs.open()
        try:
            async with self.orchestrator.running(self.lives):
                yield self.orchestrator
        finally:
            self.logs.close()
        assert not self.spawner.living()
        assert not self.gateway.doors
        assert self.registry.get_all_services() == {}

    def change(self, *services: ServiceConfig) -> None:
        """Let the configuration files say something else from now on."""
        self.loaded = fleet_of(self.directory, *services)

    def operation(self) -> Operation:
        self._operations += 1
        return Operation(self._operations, self.orchestrator.changed, self.events)

    def instance(self, instance_id: str) -> ServiceInstance:
        instance = self.registry.get_instance(instance_id)
        assert instance is not None, f"{instance_id} is not registered: {self.registry!r}"
        return instance

    def status_of(self, instance_id: str) -> str:
        instance = self.registry.get_instance(instance_id)
        return str(instance.status) if instance else "gone"

    def log(self, instance_id: str) -> list[str]:
        """What lies in the instance's log file, without times; read it when all has ended."""
        text = (self.state.logs / f"{instance_id}.log").read_text()
        return [line.partition(" ")[2] for line in text.splitlines()]

    def history(self, instance_id: str) -> list[str]:
        """The statuses that the instance went through."""
        return [
            event.after
            for event in self.events.kept()
            if event.instance == instance_id and event.kind == "status"
        ]
