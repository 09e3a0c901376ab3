"""The composition root: the only place that names the concrete parts together."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import uvloop

from msctl.clock import SystemClock, timestamp
from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.config.models import FleetConfig
from msctl.control.api import ControlApi
from msctl.control.server import control_server
from msctl.core.discovery import ServiceDiscovery
from msctl.core.probe_rate import ProbeRate
from msctl.core.registry import ServiceRegistry
from msctl.core.router import Router
from msctl.errors import MsctlError, PortInUse
from msctl.proxy.gateway import Gateway
from msctl.runtime import ports
from msctl.runtime.commands import Commands
from msctl.runtime.doors import Doors
from msctl.runtime.environment import FleetFacts
from msctl.runtime.events import EventLog
from msctl.runtime.launcher import DaemonSpec, report_failure, report_ready
from msctl.runtime.life import Lives
from msctl.runtime.logstore import LogStore
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.reaper import Reaper
from msctl.runtime.spawner import ExecSpawner
from msctl.runtime.statedir import RunFile, StateDir
from msctl.runtime.status import StatusReport

GATEWAY_PORT = 8700
_GATEWAY_TRIES = 100


def run(spec: DaemonSpec, lifeline: int, channel: int) -> int:
    """Run the daemon until its fleet has ended; return its exit code.

    `lifeline` reads end-of-file when the guardian is dead; on `channel` the launcher is told
    once whether the daemon is up.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        fleet = _load(spec, (), os.environ)
    except MsctlError as error:
        report_failure(channel, error)
        return 0
    return uvloop.run(_serve(spec, fleet, lifeline, channel))


def _load(spec: DaemonSpec, files: tuple[str, ...], environment: Mapping[str, str]) -> FleetConfig:
    paths = tuple(map(Path, files)) or spec.files
    return load_fleet(ConfigLocation(spec.project_dir, paths), environment)


async def _serve(spec: DaemonSpec, fleet: FleetConfig, lifeline: int, channel: int) -> int:
    end = asyncio.Event()
    _end_on_signals(end, lifeline)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(_fleet_runs(spec, fleet, end))
        except (MsctlError, OSError) as error:
            report_failure(channel, error)
            return 0
        report_ready(channel)
        await end.wait()
    return 0


@asynccontextmanager
async def _fleet_runs(
    spec: DaemonSpec, fleet: FleetConfig, end: asyncio.Event
) -> AsyncIterator[None]:
    """Put the parts together, in the order in which they need each other."""
    state, clock, random = spec.state(), SystemClock(), Random()
    started_at = clock.now()
    registry, reaper, events = ServiceRegistry(), Reaper(), EventLog(clock)
    router = Router(ServiceDiscovery(registry), random)
    logs = LogStore(state.logs, clock)
    gateway = Gateway(router, registry, clock)
    orchestrator = Orchestrator(
        fleet,
        registry=registry,
        router=router,
        doors=Doors(gateway),
        logs=logs,
        events=events,
        clock=clock,
        random=random,
    )
    gateway.on_slow = gateway.on_refused = orchestrator.hurry
    listener = _bind_gateway(fleet)
    url = "http://{}:{}".format(*listener.getsockname()[:2])
    commands = Commands(orchestrator, lambda files, environ: _load(spec, files, environ))
    api = ControlApi(orchestrator, commands, StatusReport(orchestrator, url, started_at), end.set)
    lives = Lives(
        spawner=ExecSpawner(reaper),
        reaper=reaper,
        state=state,
        project_dir=spec.project_dir,
        clock=clock,
        random=random,
        probe_rate=ProbeRate(),
        facts=FleetFacts(project=fleet.project, gateway_url=url, resolved=orchestrator.resolved),
        named_ports=_NamedPorts(orchestrator),
        connections=lambda service, instance: _connections(router, service, instance),
        base_environment=lambda service: orchestrator.environments.get(service, os.environ),
    )
    async with AsyncExitStack() as stack:
        reaper.open()
        stack.callback(reaper.close)
        logs.open()
        stack.push_async_callback(asyncio.to_thread, logs.close)
        await gateway.open_gateway([listener])
        stack.push_async_callback(gateway.close)
        await stack.enter_async_context(
            control_server(state.socket, api.app, gateway.call_protocol_factory)
        )
        await stack.enter_async_context(api.running())
        await stack.enter_async_context(orchestrator.running(lives))
        state.write_run(
            RunFile(
                pid=os.getpid(),
                project=fleet.project,
                gateway=url,
                started_at=timestamp(clock.wall()),
            )
        )
        stack.callback(_remove_run_file, state)
        yield


class _NamedPorts:
    """The ports that the config names: no instance is given one of them."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator

    def __contains__(self, port: object) -> bool:
        return any(s.port == port for s in self._orchestrator.fleet.services.values())


def _connections(router: Router, service: str, instance: str) -> int:
    route = router.route(service)
    return route.connections(instance) if route else 0


def _bind_gateway(fleet: FleetConfig) -> socket.socket:
    """Listen on the gateway's port: the one that is set, else 8700 or the next free one."""
    host, port = fleet.gateway.host, fleet.gateway.port
    if port is not None:
        return ports.bind_gateway(host, port)
    named = {service.port for service in fleet.services.values()}
    for candidate in range(GATEWAY_PORT, GATEWAY_PORT + _GATEWAY_TRIES):
        if candidate not in named:
            try:
                return ports.bind_gateway(host, candidate)
            except PortInUse:
                continue
    raise MsctlError(f"no port is free for the gateway from {GATEWAY_PORT} on; set gateway.port")


def _remove_run_file(state: StateDir) -> None:
    state.run_file.unlink(missing_ok=True)


def _end_on_signals(end: asyncio.Event, lifeline: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is none of its business

    def guardian_died() -> None:
        loop.remove_reader(lifeline)
        os.close(lifeline)
        end.set()

    loop.add_reader(lifeline, guardian_died)
