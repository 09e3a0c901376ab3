"""One generation of an instance: its address, its process, and the checks of it."""

import asyncio
import socket
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from msctl.clock import Clock
from msctl.config.health import LivenessConfig
from msctl.config.models import CheckKind, ServiceConfig, StartMode
from msctl.core.health import HealthPolicy, HealthTracker, HealthUpdate
from msctl.core.probe_rate import ProbeRate
from msctl.model import Health, ServiceInstance
from msctl.runtime import ports
from msctl.runtime.environment import (
    FleetFacts,
    expand_command,
    instance_environment,
    working_dir,
)
from msctl.runtime.limits import Applied, Limiter
from msctl.runtime.liveness import Liveness
from msctl.runtime.logstore import InstanceLog
from msctl.runtime.prober import Prober
from msctl.runtime.probes import CommandProbe, HttpProbe, Probe, TcpProbe
from msctl.runtime.reaper import Reaper
from msctl.runtime.release import Release
from msctl.runtime.spawner import AsgiProgram, Launch, Process, Spawner, SpawnError
from msctl.runtime.statedir import StateDir


class Traffic(Protocol):
    """The calls to instances, as far as their supervisors have to do with them."""

    def connections(self, service: str, instance: str) -> int:
        """Return how many calls an instance still answers."""
        ...

    def cut(self, instance: str) -> None:
        """Cut its tunnels, which have no end of their own."""
        ...

    def health_passed(self, instance: ServiceInstance) -> None:
        """Take in that a health check of this very process passed."""
        ...


class Reports(Protocol):
    """Whoever is told of a life by its checks."""

    def health_changed(self, update: HealthUpdate, detail: str) -> None:
        """Take in the result of a health check, and what the instance said."""
        ...

    def not_alive(self, reason: str) -> None:
        """Take in that the process runs, but does nothing any more."""
        ...


_GROUP_TRIES = 50
_GROUP_PAUSE = 0.02
"""Seconds; the kernel keeps a control group until the last process in it is reaped."""


@dataclass(slots=True)
class Life:
    """What exists of one generation; `end` gives it all back."""

    process: Process
    host: str
    port: int | None
    reservation: socket.socket | None
    prober: Prober | None
    tracker: HealthTracker | None
    report_alive: Callable[[], None]
    liveness: Liveness | None = None
    limits: Applied = field(default_factory=Applied)

    def check(self) -> None:
        """Begin the health checks; without one the instance counts as healthy from now on."""
        if self.prober is None:
            self.report_alive()
        else:
            self.prober.start()

    @property
    def last_answer(self) -> str:
        """What the last check said."""
        return self.tracker.detail if self.tracker else ""

    @property
    def misconfigured(self) -> bool:
        """Whether the health check asks for a path that does not exist."""
        return self.tracker is not None and self.tracker.misconfigured

    def check_liveness(self) -> None:
        """Begin the liveness checks, if there are any; the instance has been healthy now."""
        if self.liveness is not None:
            self.liveness.start()

    def stop_checking(self) -> None:
        """End the checks."""
        for checks in (self.prober, self.liveness):
            if checks is not None:
                checks.stop()

    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed something of it for want of memory."""
        return self.limits.kills() > 0

    async def end(self) -> None:
        """Give back what outlives the process."""
        self.stop_checking()
        if self.reservation is not None:
            self.reservation.close()
        for _ in range(_GROUP_TRIES if self.limits.group else 0):
            if await asyncio.to_thread(self.limits.release):
                break
            await asyncio.sleep(_GROUP_PAUSE)


@dataclass(slots=True, kw_only=True)
class Lives:
    """Begins lives; knows everything about the fleet that a new process has to be told."""

    spawner: Spawner
    reaper: Reaper
    state: StateDir
    project_dir: Path
    clock: Clock
    random: Random
    probe_rate: ProbeRate
    facts: FleetFacts
    named_ports: Container[int]
    traffic: Traffic
    limiter: Limiter

    def draws_port(self, service: ServiceConfig) -> bool:
        """Whether its instances are given the number of a private port to bind themselves."""
        return service.command is not None and service.is_http

    async def begin(
        self, instance: str, release: Release, log: InstanceLog, reports: Reports
    ) -> Life:
        """Start a process for the instance; raises SpawnError with the reason."""
        service = release.service
        try:
            listener, reservation = self._open_port(service)
        except OSError as error:
            raise SpawnError(f"no private port for it: {error.strerror}") from error
        held = listener or reservation
        port = held.getsockname()[1] if held else self._own_port(service)
        try:
            launch = self._launch(instance, release, port, listener)
            # Made first: what can go wrong with it must not leave a process behind.
            probe = self._probe(service, launch) if service.effective_check else None
            liveness = self._liveness(service, launch, reports)
            process = await self.spawner.spawn(launch, log.feed)
        except BaseException:
            if reservation is not None:
                reservation.close()
            raise
        finally:
            if listener is not None:
                listener.close()  # a dead instance must refuse, not hang
        life = self._life(service, launch, process, reservation, probe=probe, reports=reports)
        life.liveness = liveness
        if service.resources is not None and process.pid is not None:
            life.limits = await asyncio.to_thread(
                self.limiter.apply, instance, process.pid, service.resources
            )
            log.note(f"limits: {life.limits.how}")
        return life

    def _own_port(self, service: ServiceConfig) -> int | None:
        """Return the service port where the instance binds it itself."""
        if not service.binds_own_port:
            return None
        resolved = self.facts.resolved(service.name) or service
        assert isinstance(resolved.port, int), "its port was settled before it may start"
        return resolved.port

    def _open_port(
        self, service: ServiceConfig
    ) -> tuple[socket.socket | None, socket.socket | None]:
        if service.command is None:
            return ports.listen_privately(self.named_ports), None
        if self.draws_port(service):
            return None, ports.reserve(self.named_ports)
        return None, None

    def _launch(
        self,
        instance: str,
        release: Release,
        port: int | None,
        listener: socket.socket | None,
    ) -> Launch:
        service = release.service
        data_dir = self.state.data(service.name)
        environment = instance_environment(
            service,
            self.facts,
            base=release.environment,
            instance=instance,
            port=port,
            data_dir=data_dir,
        )
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            program = self._program(instance, service, environment)
        except OSError as error:
            raise SpawnError(f"cannot make its data directory {data_dir}: {error}") from error
        except ValueError as error:
            raise SpawnError(f"command: {error}") from error
        return Launch(
            instance=instance,
            program=program,
            environment=environment,
            working_dir=working_dir(service, self.project_dir),
            listener=listener,
        )

    def _program(
        self, instance: str, service: ServiceConfig, environment: Mapping[str, str]
    ) -> AsgiProgram | tuple[str, ...]:
        if service.command is not None:
            return expand_command(service.command, environment)
        check = service.effective_check
        return AsgiProgram(
            app=service.effective_app or "",
            factory=service.factory,
            access_log=service.access_log,
            health_path=(check and check.path) or service.health_check_path,
            python=service.python,
            imports=self.state.imports(instance),
            warm=service.start is StartMode.AUTO and service.python is None,
        )

    def _life(
        self,
        service: ServiceConfig,
        launch: Launch,
        process: Process,
        reservation: socket.socket | None,
        *,
        probe: Probe | None,
        reports: Reports,
    ) -> Life:
        host, port = _address(service, launch)
        tracker = prober = None
        check = service.effective_check
        if check is not None and probe is not None:
            policy = HealthPolicy(
                interval=check.interval,
                fast_interval=check.fast_interval,
                timeout=check.timeout,
                rise=check.rise,
                fall=check.fall,
            )
            tracker = HealthTracker(policy, self.clock.now())
            prober = Prober(
                probe,
                tracker,
                timeout=check.timeout,
                # Only a socket that was handed down makes an early probe wait for the program.
                first_timeout=service.start_timeout if launch.listener else check.timeout,
                clock=self.clock,
                random=self.random,
                rate=self.probe_rate,
                report=lambda update: reports.health_changed(update, tracker.detail),
            )
        return Life(
            process=process,
            host=host,
            port=port,
            reservation=reservation,
            prober=prober,
            tracker=tracker,
            report_alive=lambda: reports.health_changed(_ALIVE, "its process runs"),
        )

    def _probe(self, service: ServiceConfig, launch: Launch) -> Probe:
        check = service.effective_check
        assert check is not None, "asked only where there is a check"
        if check.kind is CheckKind.COMMAND:
            return self._command_probe(check.command or (), launch, "health.command")
        host, port = _address(service, launch)
        target = check.tcp or port
        assert target is not None, "an HTTP or TCP check has a port"
        if check.kind is CheckKind.TCP:
            return TcpProbe(host, target)
        return HttpProbe(host, target, check.path or "/health", check.expect_status)

    def _liveness(
        self, service: ServiceConfig, launch: Launch, reports: Reports
    ) -> Liveness | None:
        config = service.liveness
        if config is None:
            return None
        return Liveness(self._liveness_probe(config, service, launch), config, reports.not_alive)

    def _liveness_probe(
        self, config: LivenessConfig, service: ServiceConfig, launch: Launch
    ) -> Probe:
        if config.command is not None:
            return self._command_probe(config.command, launch, "liveness.command")
        host, port = _address(service, launch)
        assert port is not None, "the config has liveness.path only where there is a port"
        return HttpProbe(host, port, config.path or "/")

    def _command_probe(self, command: tuple[str, ...], launch: Launch, key: str) -> CommandProbe:
        try:
            argv = expand_command(command, launch.environment)
        except ValueError as error:
            raise SpawnError(f"{key}: {error}") from error
        return CommandProbe(argv, launch.environment, launch.working_dir, self.reaper)


def _address(service: ServiceConfig, launch: Launch) -> tuple[str, int | None]:
    port = launch.environment.get("PORT")
    return service.host if service.binds_own_port else "127.0.0.1", int(port) if port else None


_ALIVE = HealthUpdate(
    health=Health.HEALTHY, previous=Health.UNKNOWN, delay=float("inf"), passed=True
)
