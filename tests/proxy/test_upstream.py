import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from msctl.core.outcome import Outcome
from msctl.model import ServiceInstance, ServiceStatus
from msctl.proxy.faults import UpstreamFailed
from msctl.proxy.upstream import KEEP_IDLE, UpstreamConnection, UpstreamPool, key_of
from tests.proxy.harness import FakeClock, Peer, Upstream, fleet, get, ok, run, until
from tests.proxy.scripts import LOOPS


@contextlib.asynccontextmanager
async def pool_for(
    upstream: Upstream, clock: FakeClock, gone: set[str] | None = None
) -> AsyncIterator[tuple[UpstreamPool, ServiceInstance]]:
    instance = ServiceInstance(id="api-1", service="api", port=upstream.port)
    pool = UpstreamPool(clock, lambda known: known.id not in (gone or ()))
    try:
        yield pool, instance
    finally:
        await pool.close()
        assert repr(pool) == "<UpstreamPool open=0 idle=0>"


async def use_at_once(
    pool: UpstreamPool, instance: ServiceInstance, count: int
) -> list[UpstreamConnection]:
    connections = [await pool.acquire(instance, fresh=False) for _ in range(count)]
    for connection in connections:
        pool.release(connection)
    return connections


async def stay(peer: Peer) -> None:
    await peer.ended()


@LOOPS
def test_a_kept_connection_is_used_again_until_it_is_4_s_idle(loop: str) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with Upstream(stay) as upstream, pool_for(upstream, clock) as (pool, instance):
            first = await pool.acquire(instance, fresh=False)
            assert not first.reused
            pool.release(first)
            clock.time += KEEP_IDLE - 0.01
            second = await pool.acquire(instance, fresh=False)
            assert second is first
            assert second.reused
            pool.release(second)
            clock.time += KEEP_IDLE
            third = await pool.acquire(instance, fresh=False)
            assert third is not first
            await until(lambda: first.lost, "the expired one stays open")
            pool.release(third)

    run(main(), loop)


def test_an_idle_connection_is_closed_after_4_s_without_anyone_asking() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with Upstream(stay) as upstream, pool_for(upstream, clock) as (pool, instance):
            connection = await pool.acquire(instance, fresh=False)
            pool.release(connection)
            clock.time += KEEP_IDLE
            pool._drop_unneeded()
            await until(lambda: connection.lost, "it stays open")
            assert pool.idle(instance) == 0

    run(main())


def test_kept_connections_are_used_in_turn() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with Upstream(stay) as upstream, pool_for(upstream, clock) as (pool, instance):
            three = await use_at_once(pool, instance, 3)
            for turn in range(7):
                key = key_of(instance)
                ready = pool.take_ready(key, clock.now(), repeatable=False)
                assert ready is three[turn % 3]
                pool.put_back(ready, key, clock.now())
            again = await pool.acquire(instance, fresh=False)
            assert again is three[1]
            pool.release(again)

    run(main())


@pytest.mark.parametrize("needed", [1, 2, 5])
def test_connections_that_a_burst_left_over_are_closed_though_all_are_used_in_turn(
    needed: int,
) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with Upstream(stay) as upstream, pool_for(upstream, clock) as (pool, instance):
            many = await use_at_once(pool, instance, 6)

            async def two_looks() -> None:
                for _ in range(2):
                    for _ in range(100):
                        clock.time += KEEP_IDLE / 100
                        await use_at_once(pool, instance, needed)
                    pool._drop_unneeded()

            await two_looks()
            assert pool.idle(instance) == needed
            await until(lambda: sum(one.lost for one in many) == 6 - needed, "some are open")
            await two_looks()
            assert pool.idle(instance) == needed
            assert sum(one.lost for one in many) == 6 - needed

    run(main())


def test_what_was_lent_out_at_once_is_kept_for_4_s_after_it_was_last_needed() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with Upstream(stay) as upstream, pool_for(upstream, clock) as (pool, instance):
            for _ in range(5):
                await use_at_once(pool, instance, 4)
                clock.time += KEEP_IDLE / 2
                pool._drop_unneeded()
                assert pool.idle(instance) == 4
            clock.time += KEEP_IDLE / 2
            pool._drop_unneeded()
            assert pool.idle(instance) == 0

    run(main())


def test_fresh_never_takes_a_kept_one() -> None:
    async def main() -> None:
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock()) as (pool, instance):
            kept = await pool.acquire(instance, fresh=False)
            pool.release(kept)
            fresh = await pool.acquire(instance, fresh=True)
            assert fresh is not kept
            pool.release(fresh)

    run(main())


@LOOPS
@pytest.mark.parametrize("what", ["speaks", "closes"])
def test_a_kept_connection_that_became_readable_is_not_used_again(what: str, loop: str) -> None:
    async def script(peer: Peer) -> None:
        await go_on.wait()
        if what == "speaks":
            peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n")
            await peer.writer.drain()
            done.set()
            await peer.ended()
        else:
            peer.writer.close()
            done.set()

    async def main() -> None:
        async with Upstream(script) as upstream, pool_for(upstream, FakeClock()) as (pool, api):
            kept = await pool.acquire(api, fresh=False)
            pool.release(kept)
            go_on.set()
            await done.wait()
            # The loop has not told of it yet, the kernel knows: this is the race that matters.
            other = await pool.acquire(api, fresh=False)
            assert other is not kept
            other.abort()

    go_on, done = asyncio.Event(), asyncio.Event()
    run(main(), loop)


def test_a_connection_with_unread_bytes_is_not_kept() -> None:
    async def main() -> None:
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock()) as (pool, instance):
            connection = await pool.acquire(instance, fresh=False)
            connection.buffer += b"left over"
            pool.release(connection)
            assert pool.idle(instance) == 0

    run(main())


def test_connections_belong_to_a_generation() -> None:
    async def main() -> None:
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock()) as (pool, instance):
            connection = await pool.acquire(instance, fresh=False)
            pool.release(connection)
            successor = replace(instance, generation=2)
            assert await pool.acquire(successor, fresh=False) is not connection
            pool.drop(("api-1", 1))
            await until(lambda: connection.lost, "the old generation's stays open")

    run(main())


def test_a_connection_to_an_instance_that_takes_no_requests_is_not_kept() -> None:
    async def main() -> None:
        gone: set[str] = set()
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock(), gone) as (pool, api):
            connection = await pool.acquire(api, fresh=False)
            gone.add("api-1")
            pool.release(connection)
            await until(lambda: connection.lost, "it stays open")

    run(main())


@pytest.mark.parametrize("change", ["unregistered", "draining", "generation"])
def test_idle_connections_go_with_their_instance(change: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok("x"))
        await peer.ended()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            instance = f.add(upstream)
            await f.call(get())
            assert "idle=1" in repr(f)
            if change == "unregistered":
                f.registry.unregister_service("api-1")
            elif change == "draining":
                f.registry.update("api-1", 1, status=ServiceStatus.DRAINING)
            else:
                f.registry.register_service(replace(instance, generation=2))
            assert "idle=0" in repr(f)
            await until(lambda: "open=0" in repr(f), "it stays open")

    run(main())


def test_nothing_to_connect_to_was_never_sent_and_says_whether_it_was_refused() -> None:
    async def main() -> None:
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock()) as (pool, instance):
            await upstream.stop()
            with pytest.raises(UpstreamFailed) as refused:
                await pool.acquire(instance, fresh=False)
            assert (refused.value.outcome, refused.value.refused) == (Outcome.NOT_SENT, True)
            with pytest.raises(UpstreamFailed) as portless:
                await pool.acquire(replace(instance, port=None), fresh=False)
            assert (portless.value.outcome, portless.value.refused) == (Outcome.NOT_SENT, False)

    run(main())


def test_closing_the_pool_closes_what_is_lent_out_as_well() -> None:
    async def main() -> None:
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock()) as (pool, instance):
            lent = await pool.acquire(instance, fresh=False)
            await pool.close()
            assert lent.lost

    run(main())


@LOOPS
@pytest.mark.parametrize("turns", range(6))
def test_a_connect_that_is_cancelled_at_any_point_leaves_nothing(turns: int, loop: str) -> None:
    async def main() -> None:
        async with Upstream(stay) as upstream, pool_for(upstream, FakeClock()) as (pool, instance):
            task = asyncio.create_task(pool.acquire(instance, fresh=True))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            await asyncio.wait_for(pool.close(), 1)

    run(main(), loop)
