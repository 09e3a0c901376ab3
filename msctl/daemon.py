"""The composition root: the only place that names the concrete parts together."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Container, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import uvloop

from msctl.clock import Clock, SystemClock, timestamp
from msctl.config.fleet import GATEWAY_PORT
from msctl.config.isolation import isolated, under_name
from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.config.models import FleetConfig
from msctl.control.api import ControlApi
from msctl.control.breakers import breaker_routes
from msctl.control.server import control_server
from msctl.control.surroundings import surroundings_routes
from msctl.control.why import why_routes
from msctl.core.discovery import ServiceDiscovery
from msctl.core.probe_rate import ProbeRate
from msctl.core.registry import ServiceRegistry
from msctl.core.router import Router
from msctl.errors import MsctlError, PortInUse
from msctl.model import ServiceInstance
from msctl.proxy.gateway import Gateway
from msctl.proxy.meters import Meters
from msctl.runtime import ports
from msctl.runtime.accesslog import AccessLogFile
from msctl.runtime.automation import Automation
from msctl.runtime.breaker_watch import BreakerWatch
from msctl.runtime.breakers import Breakers
from msctl.runtime.commands import Commands
from msctl.runtime.doors import Doors
from msctl.runtime.environment import FleetFacts
from msctl.runtime.events import EventLog
from msctl.runtime.launcher import DaemonSpec, report_failure, report_ready
from msctl.runtime.life import Lives, Traffic
from msctl.runtime.limits import open_limiter
from msctl.runtime.logstore import LogStore
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.reaper import Reaper
from msctl.runtime.spawner import ExecSpawner, Spawner
from msctl.runtime.statedir import RunFile, StateDir
from msctl.runtime.status import StatusReport
from msctl.runtime.template import Template
from msctl.runtime.template_keeper import TemplateKeeper
from msctl.runtime.warm_spawner import WarmSpawner
from msctl.runtime.why import Why

_GATEWAY_TRIES = 100
UNUSED_LIMIT = 10.0
"""Seconds after which a daemon ends that nobody has asked for anything: who started it is gone."""


def run(spec: DaemonSpec, lifeline: int, channel: int, template: Template | None) -> int:
    """Run the daemon until its fleet has ended; return its exit code.

    `lifeline` reads end-of-file when the guardian is dead; on `channel` the launcher is told
    once whether the daemon is up. `template` is the one that `beginning.begin` forked.
    """
    gc.freeze()  # all that is imported: a collection need not look at it
    gc.enable()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        fleet = _load(spec, (), os.environ)
    except MsctlError as error:
        report_failure(channel, error)
        return 0
    if template is not None:
        template.begin(fleet.preload)
    return uvloop.run(_serve(spec, fleet, template, lifeline, channel))


def _load(spec: DaemonSpec, files: tuple[str, ...], environment: Mapping[str, str]) -> FleetConfig:
    paths = tuple(map(Path, files)) or spec.files
    fleet = load_fleet(ConfigLocation(spec.project_dir, paths), environment)
    if spec.project is not None:
        fleet = under_name(fleet, spec.project)
    return isolated(fleet) if spec.isolated else fleet


async def _serve(
    spec: DaemonSpec, fleet: FleetConfig, template: Template | None, lifeline: int, channel: int
) -> int:
    end = asyncio.Event()
    _end_on_signals(end, lifeline)
    async with AsyncExitStack() as stack:
        try:
            parts = _assemble(spec, fleet, template, end)
            await stack.enter_async_context(_in_motion(parts))
        except (MsctlError, OSError) as error:
            report_failure(channel, error)
            return 0
        report_ready(channel)
        # What is there now stays: a full collection that looks at it again would hold every
        # call up for tens of milliseconds.
        gc.collect()
        gc.freeze()
        asyncio.get_running_loop().call_later(UNUSED_LIMIT, _end_if_unused, parts.api, end)
        await end.wait()
    return 0


@dataclass(slots=True, kw_only=True)
class _Parts:
    """What a running fleet consists of, put together but not yet in motion."""

    state: StateDir
    run_file: RunFile
    reaper: Reaper
    templates: TemplateKeeper
    logs: LogStore
    gateway: Gateway
    gateway_listener: socket.socket
    orchestrator: Orchestrator
    lives: Lives
    automation: Automation
    api: ControlApi


def _assemble(
    spec: DaemonSpec, fleet: FleetConfig, template: Template | None, end: asyncio.Event
) -> _Parts:
    state, clock, random = spec.state(), SystemClock(), Random()  # noqa: S311  balancing, not secrets
    listener = _bind_gateway(fleet)
    url = "http://{}:{}".format(*listener.getsockname()[:2])
    registry, reaper, events, meters = ServiceRegistry(), Reaper(), EventLog(clock), Meters()
    router, logs = Router(ServiceDiscovery(registry), random), LogStore(state.logs, clock)
    gateway = _gateway(
        router, registry, logs, state, meters=meters, orchestrator=lambda: orchestrator
    )
    named_ports = _NamedPorts(lambda: orchestrator)
    orchestrator = Orchestrator(
        fleet,
        registry=registry,
        router=router,
        doors=Doors(gateway, named_ports),
        logs=logs,
        events=events,
        clock=clock,
        random=random,
    )
    facts = FleetFacts(fleet.project, spec.project_dir, url, orchestrator.resolved)
    commands = Commands(orchestrator, lambda files, environ: _load(spec, files, environ), meters)
    templates = TemplateKeeper(template, lambda: orchestrator.fleet.preload, os.environ)
    return _Parts(
        state=state,
        run_file=RunFile(os.getpid(), fleet.project, url, timestamp(clock.wall())),
        reaper=reaper,
        templates=templates,
        logs=logs,
        gateway=gateway,
        gateway_listener=listener,
        orchestrator=orchestrator,
        lives=_lives(
            spec,
            facts,
            named_ports,
            spawner=WarmSpawner(ExecSpawner(reaper), templates, reaper),
            reaper=reaper,
            traffic=_Traffic(router, gateway, clock),
            random=random,
        ),
        automation=Automation(orchestrator, commands, meters, state),
        api=ControlApi(orchestrator, commands, StatusReport(orchestrator, url, clock.now()), end)
        .with_routes(breaker_routes(_breakers(orchestrator)))
        .with_routes(why_routes(Why(orchestrator, state)))
        .with_routes(surroundings_routes(orchestrator, facts, state.data_root)),
    )


def _breakers(fleet: Orchestrator) -> Breakers:
    watch = BreakerWatch(fleet.router, fleet.registry, fleet.events, fleet.clock)
    return Breakers(fleet, watch)


def _lives(
    spec: DaemonSpec,
    facts: FleetFacts,
    named_ports: Container[int],
    *,
    spawner: Spawner,
    reaper: Reaper,
    traffic: Traffic,
    random: Random,
) -> Lives:
    return Lives(
        spawner=spawner,
        reaper=reaper,
        state=spec.state(),
        project_dir=spec.project_dir,
        clock=SystemClock(),
        random=random,
        probe_rate=ProbeRate(),
        facts=facts,
        named_ports=named_ports,
        traffic=traffic,
        limiter=open_limiter(),
    )


def _gateway(
    router: Router,
    registry: ServiceRegistry,
    logs: LogStore,
    state: StateDir,
    *,
    meters: Meters,
    orchestrator: Callable[[], Orchestrator],
) -> Gateway:
    """Make the proxy; the orchestrator is asked for later, since it is made after it."""
    clock = SystemClock()

    def hurry(instance: ServiceInstance) -> None:
        orchestrator().hurry(instance)

    def is_logged() -> bool:
        return orchestrator().fleet.gateway.access_log

    access_log = AccessLogFile(state.access_log, logs, clock, is_logged)
    return Gateway(
        router,
        clock,
        registry,
        on_slow=hurry,
        on_refused=hurry,
        meters=meters,
        access_log=access_log,
    )


@asynccontextmanager
async def _in_motion(parts: _Parts) -> AsyncIterator[None]:
    """Set the parts in motion, each after what it needs; they end in the reverse order."""
    async with AsyncExitStack() as stack:
        stack.callback(parts.state.remove_leftovers)
        parts.reaper.open()
        stack.callback(parts.reaper.close)
        parts.templates.open()
        stack.callback(parts.templates.close)
        parts.logs.open()
        stack.push_async_callback(asyncio.to_thread, parts.logs.close)
        await parts.gateway.open_gateway([parts.gateway_listener])
        stack.push_async_callback(parts.gateway.close)
        calls, console = parts.gateway.call_protocol_factory, parts.api.console.protocol
        await stack.enter_async_context(
            control_server(parts.state.socket, parts.api.app, calls, console)
        )
        await stack.enter_async_context(parts.api.running())
        await stack.enter_async_context(parts.orchestrator.running(parts.lives))
        await stack.enter_async_context(parts.automation.running())
        parts.state.write_run(parts.run_file)
        yield


class _NamedPorts:
    """The ports that the config names: nothing that is drawn is one of them."""

    def __init__(self, orchestrator: Callable[[], Orchestrator]) -> None:
        self._orchestrator = orchestrator

    def __contains__(self, port: object) -> bool:
        return port in self._orchestrator().fleet.named_ports


class _Traffic:
    """What the proxy knows of the calls to an instance, for its supervisor."""

    def __init__(self, router: Router, gateway: Gateway, clock: Clock) -> None:
        self._router = router
        self._gateway = gateway
        self._clock = clock

    def connections(self, service: str, instance: str) -> int:
        route = self._router.route(service)
        return route.connections(instance) if route else 0

    def cut(self, instance: str) -> None:
        self._gateway.cut_tunnels(instance)

    def health_passed(self, instance: ServiceInstance) -> None:
        if route := self._router.route(instance.service):
            route.health_passed(instance.id, instance.generation, self._clock.now())


def _bind_gateway(fleet: FleetConfig) -> socket.socket:
    """Listen on the gateway's port: the one that is set, else 8700 or the next free one."""
    host, port = fleet.gateway.host, fleet.gateway.port
    if port is not None:
        return ports.bind_gateway(host, port)
    named = fleet.named_ports
    for candidate in range(GATEWAY_PORT, GATEWAY_PORT + _GATEWAY_TRIES):
        if candidate not in named:
            try:
                return ports.bind_gateway(host, candidate)
            except PortInUse:
                continue
    raise MsctlError(f"no port is free for the gateway from {GATEWAY_PORT} on; set gateway.port")


def _end_if_unused(api: ControlApi, end: asyncio.Event) -> None:
    if not api.used:
        end.set()


def _end_on_signals(end: asyncio.Event, lifeline: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    # A closed terminal is none of its business; ignored, it would be so in every instance too.
    signal.signal(signal.SIGHUP, lambda *_: None)

    def guardian_died() -> None:
        loop.remove_reader(lifeline)
        os.close(lifeline)
        end.set()

    loop.add_reader(lifeline, guardian_died)
