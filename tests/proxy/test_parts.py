"""The small parts by themselves."""

import asyncio
import random

import pytest

from msctl.core.registry import RegistryEvent
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.proxy.fields import Fields, parse_fields
from msctl.proxy.framing import BodyKind, Framing
from msctl.proxy.idle import IdleWatch
from msctl.proxy.instances import InstanceWatch, is_lost
from msctl.proxy.interrupt import Cause, Interrupted, Interrupts
from msctl.proxy.request_body import RequestBody
from msctl.proxy.retry_after import retry_after
from msctl.proxy.stream import Stream
from msctl.proxy.time_limit import Limits, TimeLimit
from msctl.proxy.trace import IdSource, trace_of
from msctl.proxy.upstream import UpstreamConnection, UpstreamPool
from tests.proxy.harness import FakeClock, run, until


def fields(*lines: str) -> Fields:
    return parse_fields("\r\n".join((*lines, "")).encode())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 20, 999999999.0),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 00:20:00 -0000", 200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(fields(f"Retry-After: {value}"), 1000.0) == seconds


def test_no_retry_after_is_none() -> None:
    assert retry_after(fields("X: 1"), 0.0) is None


IDS = IdSource(random.Random(0))
TRACE, PARENT = "a" * 32, "b" * 16


@pytest.mark.parametrize(
    ("sent", "inherited"),
    [
        ([f"00-{TRACE}-{PARENT}-01"], True),
        ([f"cc-{TRACE}-{PARENT}-01-later"], True),
        ([f"00-{TRACE}-{PARENT}-01-more"], False),
        ([f"ff-{TRACE}-{PARENT}-01"], False),
        ([f"00-{TRACE.upper()}-{PARENT}-01"], False),
        ([f"00-{'0' * 32}-{PARENT}-01"], False),
        ([f"00-{TRACE}-{'0' * 16}-01"], False),
        ([f"00-{TRACE}-{PARENT}"], False),
        ([f"00-{TRACE}-{PARENT}-01"] * 2, False),
        ([], False),
    ],
)
def test_an_invalid_traceparent_is_replaced(sent: list[str], *, inherited: bool) -> None:
    trace = trace_of(fields(*(f"Traceparent: {value}" for value in sent)), IDS)
    assert trace.inherited is inherited
    assert (trace.trace_id == TRACE.encode()) is inherited
    assert len(trace.parent(IDS)) == 55


def test_an_id_is_never_all_zero() -> None:
    class Zero:
        def getrandbits(self, k: int, /) -> int:
            return 0 * k

    assert IdSource(Zero()).draw(8) == b"0000000000000001"


RUNNING = ServiceInstance(
    id="api-1", service="api", status=ServiceStatus.RUNNING, health=Health.HEALTHY
)


def changed(**changes: object) -> RegistryEvent:
    values = {
        "generation": 1,
        "status": ServiceStatus.RUNNING,
        "health": Health.HEALTHY,
        **changes,
    }
    after = ServiceInstance(id="api-1", service="api", **values)  # type: ignore[arg-type]  # by name
    return RegistryEvent(service="api", instance_id="api-1", before=RUNNING, after=after, version=2)


@pytest.mark.parametrize(
    ("event", "lost"),
    [
        (changed(health=Health.UNHEALTHY), True),
        (changed(health=Health.DEGRADED), False),
        (changed(generation=2), True),
        (changed(status=ServiceStatus.BACKOFF), True),
        (changed(status=ServiceStatus.ERROR), True),
        (changed(status=ServiceStatus.STOPPED), True),
        (changed(status=ServiceStatus.COMPLETED), True),
        (changed(status=ServiceStatus.DRAINING), False),
        (changed(status=ServiceStatus.DRAINING, health=Health.UNHEALTHY), False),
        (changed(status=ServiceStatus.STOPPING), False),
        (
            RegistryEvent(service="api", instance_id="a", before=RUNNING, after=None, version=2),
            False,
        ),
        (
            RegistryEvent(service="api", instance_id="a", before=None, after=RUNNING, version=2),
            False,
        ),
    ],
)
def test_an_instance_is_lost_when_dead_or_unhealthy_but_not_when_we_stop_it(
    event: RegistryEvent, *, lost: bool
) -> None:
    assert is_lost(event) is lost


def test_each_watcher_is_told_once_and_only_of_its_generation() -> None:
    watch, told = InstanceWatch(), list[str]()
    watch.add(RUNNING, lambda: told.append("a"))
    watch.add(RUNNING, lambda: told.append("b"))()
    remove = watch.add(RUNNING, lambda: told.append("c"))
    assert watch.give_up(("api-1", 2)) == 0
    assert watch.keys("api-1") == (("api-1", 1),)
    assert watch.give_up(("api-1", 1)) == 2
    assert watch.give_up(("api-1", 1)) == 0
    remove()
    assert told == ["a", "c"]
    assert watch.keys("api-1") == ()


def test_a_cause_ends_the_wait_or_the_next_one() -> None:
    async def main() -> None:
        interrupts = Interrupts()
        loop = asyncio.get_running_loop()
        loop.call_soon(interrupts.fire, Cause.TIMED_OUT)
        loop.call_soon(interrupts.fire, Cause.IDLE)
        for _ in range(2):
            with pytest.raises(Interrupted) as stop:
                async with interrupts:
                    await asyncio.sleep(10)
            assert stop.value.cause is Cause.TIMED_OUT
        await asyncio.sleep(0)

    run(main())


def test_a_lost_instance_ends_one_wait_only_and_gives_way_to_other_causes() -> None:
    async def main() -> None:
        interrupts = Interrupts()
        interrupts.fire(Cause.LOST)
        with pytest.raises(Interrupted):
            async with interrupts:
                pass
        interrupts.forget_lost()
        async with interrupts:
            await asyncio.sleep(0)
        interrupts.fire(Cause.LOST)
        interrupts.fire(Cause.CLIENT_GONE)
        interrupts.forget_lost()
        with pytest.raises(Interrupted) as stop:
            async with interrupts:
                pass
        assert stop.value.cause is Cause.CLIENT_GONE

    run(main())


def test_a_cancellation_from_elsewhere_wins_over_a_cause() -> None:
    async def wait(interrupts: Interrupts) -> None:
        async with interrupts:
            await asyncio.sleep(10)

    async def main() -> None:
        interrupts = Interrupts()
        task = asyncio.create_task(wait(interrupts))
        await asyncio.sleep(0)
        interrupts.fire(Cause.IDLE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_the_time_limit_counts_from_the_last_byte_of_the_body() -> None:
    async def main() -> None:
        clock = FakeClock()
        client = Stream()
        body = RequestBody(client, Framing(BodyKind.LENGTH, 3), clock)
        fired: list[Cause] = []
        limits = Limits(started=clock.now(), deadline=clock.now() + 30, idle=300)
        limit = TimeLimit(limits, clock, body, fired.append)
        clock.time += 25
        assert limit.left() == 5
        client.buffer += b"abc"
        body.begin()
        assert limit.left() == 30
        clock.time += 31
        limit._look()
        limit.stop()
        assert fired == [Cause.TIMED_OUT]

    run(main())


def test_an_idle_watch_rings_once_and_not_while_it_is_touched() -> None:
    async def main() -> None:
        rung: list[float] = []
        loop = asyncio.get_running_loop()
        watch = IdleWatch(0.05, lambda: rung.append(loop.time()))
        begun = loop.time()
        while loop.time() < begun + 0.15:
            watch.touch()
            touched = loop.time()
            await asyncio.sleep(0.01)
        assert rung == []
        await until(lambda: rung, "it does not ring")
        assert rung[0] - touched >= 0.049

    run(main())


def test_a_connection_to_itself_is_not_one_to_the_instance() -> None:
    """The kernel may connect a free port of the ephemeral range to itself."""

    class Transport(asyncio.Transport):
        def __init__(self, peer: int) -> None:
            super().__init__({"sockname": ("127.0.0.1", 5000), "peername": ("127.0.0.1", peer)})

    pool = UpstreamPool(FakeClock(), lambda _: True)
    for peer, itself in ((5000, True), (5001, False)):
        connection = UpstreamConnection(RUNNING, pool)
        connection.connection_made(Transport(peer))
        assert connection.is_self_connection() is itself


def test_a_time_limit_inside_does_not_disturb_it() -> None:
    async def main() -> None:
        interrupts = Interrupts()
        async with interrupts:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.sleep(10)
            await asyncio.sleep(0)

    run(main())
