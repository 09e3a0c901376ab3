"""Keeps one instance alive: one task, one inbox, one consumer.

Everything that can happen to the instance arrives as a message, so what follows from it is
decided in one place and in order. The facts go to the registry, and nowhere else.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Unpack

from msctl.clock import Clock
from msctl.config.models import ServiceConfig
from msctl.core.backoff import RestartAction, RestartTracker, describe_exit
from msctl.core.health import HealthUpdate
from msctl.core.lifecycle import advance
from msctl.core.registry import InstanceChanges, ServiceRegistry
from msctl.errors import Failure
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.runtime.ending import end_in_peace, put_down
from msctl.runtime.life import Life, Lives
from msctl.runtime.logstore import InstanceLog
from msctl.runtime.release import Release
from msctl.runtime.spawner import SpawnError

logger = logging.getLogger(__name__)

_DRAIN_POLL = 0.01
_ADDRESS_IN_USE = ("address already in use", "eaddrinuse")
_PORT_DRAWS = 5
"""Times that another private port is tried for a program that says its port is taken."""


class _Wish(Enum):
    STOP = auto()


@dataclass(frozen=True, slots=True)
class _Overdue:
    generation: int


@dataclass(frozen=True, slots=True)
class _Exited:
    generation: int
    code: int


@dataclass(frozen=True, slots=True)
class _NotAlive:
    generation: int
    reason: str


_Message = _Wish | _Overdue | _Exited | _NotAlive


class Supervisor:
    """Supervises one instance through all its generations, until it is told to stop."""

    def __init__(
        self,
        instance_id: str,
        release: Release,
        *,
        lives: Lives,
        log: InstanceLog,
        registry: ServiceRegistry,
        clock: Clock,
        random: Random,
        job: bool,
    ) -> None:
        self.id = instance_id
        self.release = release
        self.failure: Failure | None = None
        self.leaving = False
        self._lives = lives
        self._log = log
        self._registry = registry
        self._clock = clock
        self._random = random
        self._restarts = RestartTracker(
            self.service.restart.policy,
            self.service.restart.max_retries,
            retry_startup=release.retry_startup,
            job=job,
        )
        self._inbox: asyncio.Queue[_Message] = asyncio.Queue()
        self._kill = asyncio.Event()
        self._generation = registry.last_generation(instance_id)
        self._restart_count = 0
        self._life: Life | None = None
        self._port_draws = 0
        self._stop_timeout: float | None = None

    @property
    def service(self) -> ServiceConfig:
        """The configuration that the instance runs with."""
        return self.release.service

    def stop(self, *, kill: bool = False, timeout: float | None = None) -> None:
        """Ask for the end of the instance; `kill` does without draining and without grace."""
        self.leaving = True
        if timeout is not None:
            self._stop_timeout = timeout
        if kill:
            self._kill.set()
        self._inbox.put_nowait(_Wish.STOP)

    def hurry(self) -> None:
        """Have the instance checked soon; somebody waits for it."""
        if self._life is not None and self._life.prober is not None:
            self._life.prober.hurry()

    async def run(self) -> None:
        """Run the instance until it is stopped; nothing of it is left afterwards."""
        try:
            while not self.leaving:
                try:
                    await self._live_once()
                except Exception as error:
                    logger.exception("supervisor failed", extra={"instance": self.id})
                    if not self.leaving:
                        await self._fail(f"internal error: {error!r}")
        finally:
            self._registry.unregister_service(self.id)

    async def _live_once(self) -> None:
        self._begin_generation()
        try:
            life = await self._lives.begin(self.id, self.release, self._log, self)
        except SpawnError as error:
            await self._fail(str(error))
            return
        self._life = life
        try:
            await self._watch(life)
        except Exception:
            await life.process.clear(0)
            raise
        finally:
            self._life = None
            await life.end()
            self._log.flush()

    def _begin_generation(self) -> None:
        self._generation += 1
        self._log.new_life()
        self._registry.register_service(
            ServiceInstance(
                id=self.id,
                service=self.service.name,
                generation=self._generation,
                restarts=self._restart_count,
            )
        )

    async def _watch(self, life: Life) -> None:
        self._set(
            pid=life.process.pid, host=life.host, port=life.port, started_at=self._clock.wall()
        )
        self._restarts.started(self._clock.now())
        self._log.note(f"started, pid {life.process.pid}")
        exit_watch = asyncio.create_task(self._report_exit(life))
        overdue = asyncio.get_running_loop().call_later(
            self.service.start_timeout, self._inbox.put_nowait, _Overdue(self._generation)
        )
        life.check()
        try:
            await self._attend(life)
        finally:
            overdue.cancel()
            exit_watch.cancel()
            with suppress(asyncio.CancelledError):
                await exit_watch

    async def _attend(self, life: Life) -> None:
        """Handle messages until this life is over."""
        while True:
            match await self._inbox.get():
                case _Wish.STOP:
                    await self._shut_down(life)
                    return
                case _Overdue(self._generation) if self._status() is ServiceStatus.STARTING:
                    await self._start_overdue(life)
                    return
                case _Exited(self._generation, code):
                    await self._exited(life, code)
                    return
                case _NotAlive(self._generation, reason):
                    await self._put_down(life, reason)
                    return
                case _:
                    continue  # it runs already, or was said of a life that is over

    async def _report_exit(self, life: Life) -> None:
        generation = self._generation
        self._inbox.put_nowait(_Exited(generation, await life.process.exited()))

    def not_alive(self, reason: str) -> None:
        """Take in that the process runs, but does nothing any more."""
        self._inbox.put_nowait(_NotAlive(self._generation, reason))

    def health_changed(self, update: HealthUpdate, detail: str) -> None:
        """Take in the result of a health check, and what the instance said."""
        if self.leaving:
            return
        if update.warn:
            self._log.note(f"warning: {detail}")
        if self._status() is ServiceStatus.STARTING:
            if update.health in {Health.HEALTHY, Health.DEGRADED}:
                self._set(status=ServiceStatus.RUNNING)
                self._restarts.healthy(self._clock.now())
                if self._life is not None:
                    self._life.check_liveness()
        elif update.health is Health.UNHEALTHY:
            self._restarts.unhealthy(self._clock.now())
        elif update.changed:
            self._restarts.healthy(self._clock.now())
        if update.changed:
            self._log.note(f"{update.health} ({detail})")
        fine = update.health is Health.HEALTHY and not self._misconfigured()
        self._set(health=update.health, reason="" if fine else detail)
        instance = self._registry.get_instance(self.id)
        if update.passed and instance is not None:
            self._lives.traffic.health_passed(instance)

    def _misconfigured(self) -> bool:
        return self._life is not None and self._life.misconfigured

    async def _start_overdue(self, life: Life) -> None:
        answer = life.last_answer or "no answer"
        reason = f"not healthy within {self.service.start_timeout:g} s; last check: {answer}"
        self._log.note(reason)
        await self._end_process(life)
        await self._decide(None, reason)

    async def _exited(self, life: Life, code: int) -> None:
        reason = describe_exit(code)
        if life.killed_for_memory():
            reason += ": it used more memory than it may"
        health = Health.UNHEALTHY if code else Health.UNKNOWN  # out of rotation in both
        self._set(health=health, pid=None, exit_code=code, reason=reason)
        life.stop_checking()
        await life.process.clear(0)
        self._log.flush()
        self._log.note(reason)
        if self._lost_its_port():
            self._log.note("its private port was taken meanwhile; trying another one")
            return
        await self._decide(code, reason)

    async def _put_down(self, life: Life, reason: str) -> None:
        """End a process that hangs. Python first writes into the log where it hangs."""
        self._log.note(f"{reason}; killing it")
        self._set(health=Health.UNHEALTHY, reason=reason)
        life.stop_checking()
        await put_down(life.process)
        self._log.flush()
        self._set(pid=None)
        await self._decide(None, reason)

    def _lost_its_port(self) -> bool:
        """Whether a program that was given a number failed because somebody else has it."""
        if self._status() is not ServiceStatus.STARTING or not self._lives.draws_port(self.service):
            return False
        self._port_draws += 1
        said = "\n".join(self._log.tail()).lower()
        return self._port_draws <= _PORT_DRAWS and any(words in said for words in _ADDRESS_IN_USE)

    async def _decide(self, code: int | None, reason: str) -> None:
        """Act on the end of a life that nobody asked for."""
        decision = self._restarts.exited(code, self._clock.now(), self._random)
        match decision.action:
            case RestartAction.RESTART:
                self._restart_count += 1
                words = "at once" if decision.delay == 0 else f"in {decision.delay:.1f} s"
                self._log.note(f"restarting {words}")
                self._set(status=ServiceStatus.BACKOFF, reason=reason, restarts=self._restart_count)
                await self._wait_for_stop(decision.delay)
            case RestartAction.COMPLETED:
                self._set(status=ServiceStatus.COMPLETED, health=Health.UNKNOWN, reason="")
                await self._wait_for_stop(None)
            case RestartAction.STOPPED:
                self._set(status=ServiceStatus.STOPPED, health=Health.UNKNOWN, reason=reason)
                await self._wait_for_stop(None)
            case RestartAction.FAIL:
                await self._fail(f"{reason} ({decision.reason})")

    async def _fail(self, reason: str) -> None:
        self.failure = Failure(self.service.name, self.id, reason, self._log.tail())
        self._log.note(f"given up: {reason}")
        self._set(
            status=ServiceStatus.ERROR, health=Health.UNHEALTHY, pid=None, port=None, reason=reason
        )
        await self._wait_for_stop(None)

    async def _wait_for_stop(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._inbox.get() is not _Wish.STOP:
                    pass

    async def _shut_down(self, life: Life) -> None:
        """Deregister, drain, signal, in this order (contract.md, Stopping)."""
        life.stop_checking()
        if self._status() is ServiceStatus.RUNNING:
            self._set(status=ServiceStatus.DRAINING)
            await self._drain()
        self._set(status=ServiceStatus.STOPPING)
        await self._end_process(life)
        self._log.note("stopped")
        self._set(status=ServiceStatus.STOPPED, health=Health.UNKNOWN, pid=None)

    async def _drain(self) -> None:
        deadline = self._clock.now() + self.service.drain_timeout
        while (  # noqa: ASYNC110  an event for each call would cost the calls
            self._lives.traffic.connections(self.service.name, self.id)
            and self._clock.now() < deadline
            and not self._kill.is_set()
        ):
            await asyncio.sleep(_DRAIN_POLL)
        self._lives.traffic.cut(self.id)

    async def _end_process(self, life: Life) -> None:
        life.stop_checking()
        asked_for = self._stop_timeout
        grace = self.service.stop_timeout if asked_for is None else asked_for
        await end_in_peace(life.process, self.service.stop_signal_number, grace, self._kill)
        self._log.flush()

    def _status(self) -> ServiceStatus:
        instance = self._registry.get_instance(self.id)
        return instance.status if instance else ServiceStatus.STOPPED

    def _set(self, **changes: Unpack[InstanceChanges]) -> None:
        if "status" in changes:
            changes["status"] = advance(self._status(), changes["status"])
        self._registry.update(self.id, self._generation, **changes)
