"""Clients that do not wait for their answer."""

import asyncio

import pytest

from msctl.model import Health, ServiceStatus
from tests.proxy.harness import (
    Fleet,
    Peer,
    Upstream,
    echo,
    fleet,
    get,
    post,
    run,
    until,
)
from tests.proxy.scripts import LOOPS, hang


async def leave(f: Fleet, upstream: Upstream) -> float:
    """Go away with a call under way; returns the seconds until its instance knows."""
    upstream.requests.clear()
    upstream.cut_at = None
    async with f.client() as client:
        client.send(post("x"))
        await until(lambda: upstream.requests, "the request does not arrive")
    left = asyncio.get_running_loop().time()
    await until(lambda: upstream.cut_at, "the instance is not cancelled")
    return (upstream.cut_at or 0.0) - left


@LOOPS
def test_a_client_that_goes_away_cancels_the_instance_within_100_ms(loop: str) -> None:
    async def main() -> None:
        async with Upstream(hang) as upstream, fleet() as f:
            f.add(upstream)
            # The best of some: a busy machine may be late now and then, a wrong proxy always.
            assert min([await leave(f, upstream) for _ in range(4)]) < 0.1
            assert f.connections() == 0
            route = f.router.route("api")
            assert route is not None
            assert route.instance_breaker("api-1").state(0.0) == "closed"

    run(main(), loop)


@LOOPS
def test_a_client_that_goes_away_while_its_upload_is_held_back_cancels_too(loop: str) -> None:
    async def script(peer: Peer) -> None:
        heads.append(await peer.lines())
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
        await gone.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        while await peer.reader.read(1 << 16):
            pass
        raise ConnectionError

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Content-Length: 99999999", method="POST"))
                await until(lambda: heads, "the request does not arrive")
                client.writer.transport.set_write_buffer_limits(0)
                client.send(b"x" * 20_000_000)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.writer.drain(), 0.3)
                assert f.connections() == 1
                client.reset()
            await until(lambda: f.connections() == 0, "the attempt goes on")
            gone.set()
            await until(lambda: upstream.cut_at, "the instance is not cancelled")

    heads: list[object] = []
    gone = asyncio.Event()
    run(main(), loop)


def test_a_client_that_leaves_while_it_waits_for_an_instance_leaves_nothing() -> None:
    async def main() -> None:
        async with fleet() as f, Upstream(echo) as upstream:
            instance = f.add(upstream)
            f.registry.update(instance.id, 1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
            async with f.client() as client:
                client.send(get())
                door = f.gateway._front_doors["api"]
                await until(lambda: door.connections == 1, "the client does not arrive")
            await until(lambda: door.connections == 0, "its connection stays")

    run(main())
