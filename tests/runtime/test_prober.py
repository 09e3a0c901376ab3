import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from msctl.core.health import HealthPolicy, HealthTracker, HealthUpdate
from msctl.core.probe_rate import ProbeRate
from msctl.model import Health
from msctl.runtime import ports
from msctl.runtime.prober import Prober
from msctl.runtime.probes import HttpProbe
from tests.runtime import real
from tests.runtime.fakes import REFUSED, UNAVAILABLE, FakeProbe
from tests.runtime.virtual import START, VirtualClock, eventually, run_virtual

EXACT = HealthPolicy(jitter=0.0)


@dataclass
class Checked:
    """One instance that is being checked."""

    probe: FakeProbe = field(default_factory=FakeProbe)
    updates: list[HealthUpdate] = field(default_factory=list)
    rate: ProbeRate = field(default_factory=ProbeRate)
    policy: HealthPolicy = EXACT

    def __post_init__(self) -> None:
        self.tracker = HealthTracker(self.policy, asyncio.get_running_loop().time())
        self.prober = Prober(
            self.probe,
            self.tracker,
            timeout=1.0,
            first_timeout=30.0,
            clock=VirtualClock(),
            random=Random(1),
            rate=self.rate,
            report=self.updates.append,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Checked"]:
        self.prober.start()
        try:
            yield self
        finally:
            self.prober.stop()

    @property
    def times(self) -> list[float]:
        """When it was checked, in seconds since the start."""
        return [round(time - START, 3) for time in self.probe.times]


def test_a_healthy_instance_is_checked_every_interval() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            await asyncio.sleep(7)
            assert checked.times == [0, 2, 4, 6]
            assert {update.health for update in checked.updates} == {Health.HEALTHY}

    run_virtual(main())


def test_one_that_starts_is_asked_every_20_ms_then_every_quarter_second() -> None:
    async def main() -> None:
        async with Checked(FakeProbe(REFUSED)).running() as checked:
            await asyncio.sleep(6.1)
            early = [time for time in checked.times if time < 5]
            assert 240 <= len(early) <= 251
            late = [time for time in checked.times if time > 5.01]
            assert len(late) == 5
            assert checked.tracker.health is Health.UNKNOWN

    run_virtual(main())


def test_a_first_probe_may_wait_as_long_as_the_start_and_later_ones_a_second() -> None:
    async def main() -> None:
        async with Checked(FakeProbe(None)).running() as checked:
            await asyncio.sleep(29.9)
            assert checked.times == [0]
            await asyncio.sleep(1)
            checked.probe.answer = REFUSED
            await asyncio.sleep(30)
            await eventually(lambda: len(checked.updates) > 2, "it asks again")
            assert checked.probe.timeouts[0] == 30.0

        async with Checked().running() as healthy:
            await asyncio.sleep(5)
            assert healthy.probe.timeouts == [30.0, 1.0, 1.0]

    run_virtual(main())


def test_a_hung_instance_is_out_after_5_7_seconds_at_worst() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            await asyncio.sleep(0.001)
            checked.probe.answer = None
            await eventually(
                lambda: checked.tracker.health is Health.UNHEALTHY, "it is out", within=5.7
            )

    run_virtual(main())


def test_one_that_says_503_is_out_at_once() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            await asyncio.sleep(1)
            checked.probe.answer = UNAVAILABLE
            await asyncio.sleep(1.1)
            assert checked.tracker.health is Health.UNHEALTHY

    run_virtual(main())


def test_a_hung_instance_delays_no_other() -> None:
    async def main() -> None:
        async with Checked(FakeProbe(None)).running(), Checked().running() as other:
            await asyncio.sleep(9)
            assert other.times == [0, 2, 4, 6, 8]

    run_virtual(main())


def test_there_are_never_two_checks_of_one_instance_at_once() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            await asyncio.sleep(1)
            checked.probe.answer = None
            await asyncio.sleep(1.5)  # a check hangs since second 2
            for _ in range(10):
                checked.prober.hurry()
                await asyncio.sleep(0.01)
            assert checked.times == [0, 2]

    run_virtual(main())


def test_a_check_in_a_hurry_comes_at_once_when_the_last_is_long_enough_ago() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            await asyncio.sleep(1)
            checked.prober.hurry()
            await asyncio.sleep(0.5)
            assert checked.times == [0, 1]

    run_virtual(main())


def test_many_who_are_in_a_hurry_make_four_checks_a_second_at_most() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            for _ in range(199):
                checked.prober.hurry()
                await asyncio.sleep(0.01)
            assert checked.times == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]

    run_virtual(main())


def test_a_hung_instance_under_load_is_out_after_4_5_seconds() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            await asyncio.sleep(0.5)
            checked.probe.answer = None
            await asyncio.sleep(1)  # the call that has had no byte for a second
            checked.prober.hurry()
            await eventually(
                lambda: checked.tracker.health is Health.UNHEALTHY, "it is out", within=3.6
            )

    run_virtual(main())


def test_many_that_start_make_500_probes_a_second_together() -> None:
    async def main() -> None:
        rate = ProbeRate()
        fleet = [Checked(FakeProbe(REFUSED), rate=rate) for _ in range(30)]
        for checked in fleet:
            checked.prober.start()
        await asyncio.sleep(1)
        for checked in fleet:
            checked.prober.stop()
        assert 480 <= sum(len(checked.times) for checked in fleet) <= 502
        # first come, first served: nobody is left out
        assert min(len(checked.times) for checked in fleet) >= 15

    run_virtual(main())


def test_the_checks_of_many_are_made_at_twenty_moments_a_second() -> None:
    async def main() -> None:
        fleet = [Checked(policy=HealthPolicy()) for _ in range(200)]
        for checked in fleet:
            checked.prober.start()
            await asyncio.sleep(0.0123)
        await asyncio.sleep(10)
        for checked in fleet:
            checked.prober.stop()
        moments = {time for checked in fleet for time in checked.times if 6 < time <= 10}
        assert 70 <= len(moments) <= 82
        assert sum(len(checked.times) for checked in fleet) >= 200 * 4

    run_virtual(main())


def test_what_was_stopped_reports_nothing_more() -> None:
    async def main() -> None:
        for pause in (0, 1.0, 2.0):
            checked = Checked()
            checked.prober.start()
            await asyncio.sleep(pause)
            checked.prober.stop()
            reported = len(checked.updates)
            await asyncio.sleep(10)
            assert len(checked.updates) == reported

    run_virtual(main())


def test_a_report_that_fails_does_not_end_the_checks() -> None:
    async def main() -> None:
        async with Checked().running() as checked:
            unheard: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, said: unheard.append(said))
            checked.prober._report = _complain
            await asyncio.sleep(7)
            assert checked.times == [0, 2, 4, 6]
            assert len(unheard) == 4

    run_virtual(main())


def _complain(_: HealthUpdate) -> None:
    raise ValueError("no")


def test_a_first_probe_waits_in_the_backlog_and_is_answered_when_the_program_runs() -> None:
    async def main() -> None:
        updates: list[HealthUpdate] = []
        with ports.listen_privately(frozenset()) as listener:
            clock = asyncio.get_running_loop()
            prober = Prober(
                HttpProbe("127.0.0.1", listener.getsockname()[1], "/health"),
                HealthTracker(EXACT, clock.time()),
                timeout=0.01,
                first_timeout=20.0,
                clock=VirtualClock(),
                random=Random(1),
                rate=ProbeRate(),
                report=updates.append,
            )
            prober.start()
            await asyncio.sleep(0.1)  # far longer than `timeout`
            assert updates == []
            server = await asyncio.start_server(_answer, sock=listener)
            async with server:
                await eventually(lambda: updates, "the probe was answered")
                assert updates[0].health is Health.HEALTHY
                prober.stop()

    real.run(main())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()
