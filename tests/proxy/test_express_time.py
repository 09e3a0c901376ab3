"""The express lane in time: limits, and what changes while connections are open."""

import asyncio

import pytest

from msctl.core.outcome import Outcome
from msctl.core.router import LimitOptions, RoutePolicy
from tests.proxy.harness import Peer, Upstream, get, ok, run, until
from tests.proxy.lanes import HANG, Moody, echo, lane_fleet, route_of
from tests.proxy.scripts import problem


def test_a_changed_time_limit_is_told_on_open_connections_and_costs_none_of_them() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                for timeout in (30, 5, 7, 7):
                    f.router.configure("api", RoutePolicy(timeout=timeout))
                    client.send(get())
                    await client.response()
                    deadline = int(upstream.requests[-1].one("X-Msctl-Deadline-Ms"))
                    assert timeout * 1000 - 500 < deadline <= timeout * 1000
                await until(lambda: lane.tasks() == 0, "the task stays")
                assert "open=1 idle=1" in repr(f)
            assert lane.done >= 2

    run(main())


def test_an_access_log_that_is_switched_on_gets_the_next_request_of_an_open_connection() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                for path in ("/off", "/on", "/on", "/off"):
                    lane.log.enabled = path == "/on"
                    client.send(get(path))
                    await client.response()
                    await until(lambda: lane.tasks() == 0, "the task stays")
            assert [line.path for line in lane.log.lines] == ["/on", "/on"]
            assert lane.done == 2

    run(main())


def test_calls_over_the_limit_queue_behind_those_on_the_lane() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await go_on.wait()
            peer.send(ok())

    async def main() -> None:
        policy = RoutePolicy(limits=LimitOptions(in_flight=1))
        async with Upstream(script) as upstream, lane_fleet(policy) as (f, lane):
            f.add(upstream)
            go_on.set()
            await lane.warm()
            go_on.clear()
            async with f.client() as first, f.client() as second:
                first.send(get())
                await until(lane.in_flight, "the lane is not taken")
                second.send(get())
                await until(lambda: route_of(f).queued == 1, "the second does not queue")
                go_on.set()
                assert (await first.response()).status == (await second.response()).status == 200

    go_on = asyncio.Event()
    run(main())


def test_a_silent_instance_is_reported_after_a_second_and_the_time_limit_is_504() -> None:
    moody = Moody()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Upstream(moody) as upstream, lane_fleet(RoutePolicy(timeout=1.3)) as (f, lane):
            f.add(upstream)
            await lane.warm()
            moody.mood = HANG
            async with f.client() as client:
                started = loop.time()
                client.send(get())
                await until(lane.in_flight, "the lane is not taken")
                await until(lambda: f.slow, "nobody is told")
                assert loop.time() - started > 0.95
                assert problem(await client.response()) == (504, "timeout")
                assert 1.25 < loop.time() - started < 1.9
            assert f.slow == ["api-1"]
            await until(lambda: upstream._tasks == set(), "it is not cancelled")

    run(main())


@pytest.mark.parametrize(("timeout", "taken"), [(0.1, 0), (0.4, 1)])
def test_a_short_time_limit_is_kept(timeout: float, taken: int) -> None:
    moody = Moody()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        policy = RoutePolicy(timeout=timeout)
        async with Upstream(moody) as upstream, lane_fleet(policy) as (f, lane):
            f.add(upstream)
            await lane.warm()
            moody.mood = HANG
            async with f.client() as client:
                started = loop.time()
                client.send(get())
                assert problem(await client.response()) == (504, "timeout")
                assert timeout - 0.01 < loop.time() - started < timeout + 0.4
            assert lane.taken == taken
            snapshot = route_of(f).instance_breaker("api-1").snapshot(loop.time())
            assert snapshot.failures == 1
            [meter] = [m for m in f.gateway._proxy.meters.copy() if m.service == "api"]
            assert meter.instance("api-1").attempts == {Outcome.TIMED_OUT: 1}

    run(main())
