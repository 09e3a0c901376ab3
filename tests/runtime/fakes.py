"""Stand-ins for what an instance consists of; the process passes the contract of the real one."""

import asyncio
import itertools
import signal
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msctl.config.health import LivenessConfig
from msctl.config.models import ServiceConfig
from msctl.core.health import ProbeKind, ProbeResult
from msctl.model import ServiceInstance
from msctl.runtime.check import Done
from msctl.runtime.life import Lives
from msctl.runtime.probes import Cancel, Probe
from msctl.runtime.process import Output
from msctl.runtime.spawner import Launch, SpawnError


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a program does when it is run."""

    error: str | None = None
    """Why it cannot be started at all."""
    exit_code: int | None = None
    """It ends by itself, after `lasts` seconds."""
    lasts: float = 0.0
    ignores: frozenset[int] = frozenset()
    """Signals that do not end it."""
    says: tuple[tuple[str, bytes], ...] = ()
    leaves_slowly: float = 0.0
    """Seconds that its helpers stay after it."""


RUNS = Behaviour()
STUBBORN = Behaviour(ignores=frozenset({signal.SIGTERM, signal.SIGINT}))


class FakeProcess:
    """A process that exists in a test's mind."""

    def __init__(self, pid: int, launch: Launch, behaviour: Behaviour, output: Output) -> None:
        self.launch = launch
        self.signals: list[int] = []
        self.cleared = False
        self._pid = pid
        self._behaviour = behaviour
        self._output = output
        loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = loop.create_future()
        self._gone = asyncio.Event()
        if behaviour.exit_code is not None:
            loop.call_later(behaviour.lasts, self.exit, behaviour.exit_code)
        for stream, data in behaviour.says:
            loop.call_soon(output, stream, data)

    @property
    def pid(self) -> int | None:
        return self._pid

    @property
    def alive(self) -> bool:
        return not self._exit.done()

    def say(self, data: bytes, stream: str = "stdout") -> None:
        self._output(stream, data)

    def exit(self, code: int) -> None:
        """End, as the program itself or somebody else's signal would."""
        if self.alive:
            self._exit.set_result(code)
            slowly = self._behaviour.leaves_slowly
            asyncio.get_running_loop().call_later(slowly, self._gone.set)

    async def exited(self) -> int:
        return await asyncio.shield(self._exit)

    def signal(self, number: int) -> None:
        if self._gone.is_set():
            return
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.exit(-number)
            self._gone.set()
        elif number not in self._behaviour.ignores:
            self.exit(-number)

    async def clear(self, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                await self._gone.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await asyncio.sleep(0)  # the others hear of the end before it is cleared
        self.cleared = True


class FakeSpawner:
    """Starts fake processes, all that were ever started being kept by instance."""

    def __init__(self, behave: Callable[[Launch], Behaviour] = lambda _: RUNS) -> None:
        self.behave = behave
        self.processes: dict[str, list[FakeProcess]] = defaultdict(list)
        self.order: list[str] = []
        """The instances in the order of their starts."""
        self._pids = itertools.count(100_001)

    async def spawn(self, launch: Launch, output: Output) -> FakeProcess:
        behaviour = self.behave(launch)
        if behaviour.error is not None:
            raise SpawnError(behaviour.error)
        process = FakeProcess(next(self._pids), launch, behaviour, output)
        self.processes[launch.instance].append(process)
        self.order.append(launch.instance)
        return process

    def last(self, instance: str) -> FakeProcess:
        return self.processes[instance][-1]

    def started(self, instance: str) -> int:
        return len(self.processes[instance])

    def living(self) -> list[FakeProcess]:
        return [p for each in self.processes.values() for p in each if p.alive]


OK = ProbeResult(ProbeKind.OK, "answered 200", 200)
DEGRADED = ProbeResult(ProbeKind.DEGRADED, "answered 200, degraded", 200)
REFUSED = ProbeResult(ProbeKind.FAILED, "connection refused")
UNAVAILABLE = ProbeResult(ProbeKind.UNAVAILABLE, "answered 503", 503)
NOT_FOUND = ProbeResult(ProbeKind.NOT_FOUND, "answered 404", 404)


@dataclass
class FakeProbe:
    """Gives the answer that a test has set; without one it hangs until its time is over."""

    answer: ProbeResult | None = OK
    times: list[float] = field(default_factory=list)
    """When it was made, in the loop's time."""
    timeouts: list[float] = field(default_factory=list)

    def begin(self, timeout: float, done: Done) -> Cancel:
        loop = asyncio.get_running_loop()
        self.times.append(loop.time())
        self.timeouts.append(timeout)
        if self.answer is not None:
            return loop.call_soon(done, self.answer).cancel
        late = ProbeResult(ProbeKind.FAILED, f"no answer within {timeout:g} s")
        handle: asyncio.Handle

        def expire() -> None:
            nonlocal handle
            handle = loop.call_soon(done, late)

        def cancel() -> None:
            handle.cancel()  # whichever it is by then

        handle = loop.call_later(timeout, expire)
        return cancel


@dataclass
class FakeTraffic:
    """The calls that instances answer, as a test has set them."""

    open_calls: dict[str, int] = field(default_factory=dict)
    cuts: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def connections(self, service: str, instance: str) -> int:
        assert instance.startswith(service)
        return self.open_calls.get(instance, 0)

    def cut(self, instance: str) -> None:
        self.cuts.append(instance)

    def health_passed(self, instance: ServiceInstance) -> None:
        self.passed.append(instance.id)


@dataclass(slots=True, kw_only=True)
class FakeLives(Lives):
    """Lives whose health checks are answered by the test."""

    probes: dict[str, FakeProbe] = field(default_factory=lambda: defaultdict(FakeProbe))
    liveness_probes: dict[str, FakeProbe] = field(default_factory=lambda: defaultdict(FakeProbe))
    real: bool = False
    """Whether the probes are real all the same."""

    def _probe(self, service: ServiceConfig, launch: Launch) -> Probe:
        if self.real:
            return Lives._probe(self, service, launch)
        return self.probes[launch.instance]

    def _liveness_probe(
        self, config: LivenessConfig, service: ServiceConfig, launch: Launch
    ) -> Probe:
        if self.real:
            return Lives._liveness_probe(self, config, service, launch)
        return self.liveness_probes[launch.instance]


class FakeGateway:
    """Holds front doors without serving them."""

    def __init__(self) -> None:
        self.doors: dict[str, Sequence[socket.socket]] = {}
        self.refuses: set[str] = set()
        self.drain_timeouts: dict[str, float] = {}

    async def open_front_door(self, service: str, sockets: Sequence[socket.socket]) -> object:
        if service in self.refuses:
            raise OSError(24, "Too many open files")
        assert service not in self.doors, f"{service} has a front door already"
        self.doors[service] = sockets
        await asyncio.sleep(0)
        return self.doors[service]

    async def close_front_door(self, service: str, *, drain_timeout: float) -> None:
        self.drain_timeouts[service] = drain_timeout
        for listener in self.doors.pop(service):
            listener.close()
        await asyncio.sleep(0)
