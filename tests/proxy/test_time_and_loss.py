"""Attempts that get no answer: the time limit, the idle limit, a lost instance."""

import asyncio
import socket

import pytest

from msctl.core.router import LimitOptions, RoutePolicy
from msctl.model import ServiceStatus
from tests.proxy.harness import (
    Peer,
    Upstream,
    echo,
    fleet,
    get,
    listening,
    ok,
    post,
    run,
    until,
)
from tests.proxy.scripts import LOOPS, hang, problem, set_aside


@LOOPS
def test_the_time_limit_is_504_and_cancels_the_instance(loop: str) -> None:
    async def main() -> None:
        async with Upstream(hang) as upstream, fleet(RoutePolicy(timeout=0.2)) as f:
            f.add(upstream)
            response = await f.call(get())
            assert problem(response) == (504, "timeout")
            await until(lambda: upstream.cut_at, "the instance is not cancelled")

    run(main(), loop)


def test_an_upload_does_not_use_up_the_time_limit() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet(RoutePolicy(timeout=0.2)) as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Content-Length: 6", method="POST"))
                for byte in "abcdef":
                    client.send(byte)
                    await asyncio.sleep(0.06)  # the slowness is what is tested
                response = await client.response()
                assert (response.status, response.body) == (200, b"abcdef")

    run(main())


def test_a_client_that_stops_sending_its_body_is_408_after_the_idle_limit() -> None:
    policy = RoutePolicy(timeout=0.1, limits=LimitOptions(idle=0.3))

    async def main() -> None:
        async with Upstream(echo) as upstream, fleet(policy) as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Content-Length: 6", method="POST") + "abc")
                assert problem(await client.response()) == (408, "bad_request")
                assert await client.ended()
            await until(lambda: upstream.cut_at, "the instance is not cancelled")

    run(main())


def test_a_stream_on_which_nothing_moves_is_cut_after_the_idle_limit() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        if await peer.ended():
            raise ConnectionError

    async def main() -> None:
        policy = RoutePolicy(limits=LimitOptions(idle=0.1))
        async with Upstream(script) as upstream, fleet(policy) as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await client.head()
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await client.reader.readexactly(10)
            await until(lambda: upstream.cut_at, "the instance is not cancelled")

    run(main())


def test_an_attempt_without_a_byte_for_a_second_is_reported_once() -> None:
    async def main() -> None:
        async with Upstream(hang) as upstream, fleet(RoutePolicy(timeout=1.3)) as f:
            f.add(upstream)
            assert problem(await f.call(get())) == (504, "timeout")
            assert f.slow == ["api-1"]

    run(main())


@LOOPS
@pytest.mark.parametrize("change", ["unhealthy", "backoff", "generation"])
def test_an_unanswered_attempt_on_a_lost_instance_goes_elsewhere(change: str, loop: str) -> None:
    async def main() -> None:
        async with Upstream(hang) as hung, Upstream(echo) as good, fleet() as f:
            instance = f.add(hung, 1)
            task = asyncio.create_task(f.call(get()))
            await until(lambda: hung.requests, "the request does not arrive")
            f.add(good, 2)
            if change == "unhealthy":
                set_aside(f)
            elif change == "backoff":
                f.registry.update("api-1", 1, status=ServiceStatus.BACKOFF)
            else:
                f.registry.register_service(
                    type(instance)(id="api-1", service="api", generation=2, port=1)
                )
            response = await task
            assert response.one("X-Msctl-Instance") == "api-2"
            assert response.one("X-Msctl-Attempts") == "2"
            await until(lambda: hung.cut_at, "the hung instance is not cancelled")

    run(main(), loop)


def test_an_unanswered_post_on_a_lost_instance_is_502() -> None:
    async def main() -> None:
        async with Upstream(hang) as hung, Upstream(echo) as good, fleet() as f:
            f.add(hung, 1)
            task = asyncio.create_task(f.call(post("x")))
            await until(lambda: hung.requests, "the request does not arrive")
            f.add(good, 2)
            set_aside(f)
            assert problem(await task) == (502, "upstream_reset")
            assert good.connections == 0

    run(main())


def test_what_is_under_way_at_a_draining_instance_is_finished() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await drained.wait()
        peer.send(ok("done"))

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream, 1)
            task = asyncio.create_task(f.call(get()))
            await until(lambda: upstream.requests, "the request does not arrive")
            f.registry.update("api-1", 1, status=ServiceStatus.DRAINING)
            f.registry.unregister_service("api-1")
            drained.set()
            assert (await task).body == b"done"
            await until(lambda: "open=0" in repr(f), "its connection is kept")

    drained = asyncio.Event()
    run(main())


def test_an_instance_lost_while_connecting_was_never_sent_anything() -> None:
    async def main() -> None:
        full = listening(backlog=0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)  # noqa: FBT003 - the name of the method says it
            filler.connect_ex(full.getsockname())
        try:
            async with Upstream(echo) as good, fleet() as f:
                hung = Upstream(echo)
                hung.port = full.getsockname()[1]
                f.add(hung, 1)
                task = asyncio.create_task(f.call(post("x")))
                await until(lambda: f.connections() == 1, "the attempt does not begin")
                f.add(good, 2)
                set_aside(f)
                assert (await task).one("X-Msctl-Instance") == "api-2"
        finally:
            for sock in (full, *fillers):
                sock.close()

    run(main())
