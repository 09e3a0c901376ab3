import asyncio
import contextlib
from collections.abc import AsyncIterator

from msctl.core.router import LimitOptions, RoutePolicy
from tests.proxy.harness import Fleet, Peer, Upstream, fleet, get, run, until
from tests.proxy.scripts import LOOPS

UPGRADE = get("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def shout(peer: Peer) -> None:
    """Agree to the upgrade, greet, and send everything back in capitals."""
    request = await peer.request()
    assert request.one("Connection") == "Upgrade"
    assert request.one("Upgrade") == "websocket"
    assert request.one("Sec-WebSocket-Key") == "x"
    peer.send(SWITCHING + "hello")
    while data := await peer.reader.read(65536):
        peer.send(data.upper())
    peer.send("bye")
    raise ConnectionError


@contextlib.asynccontextmanager
async def tunnel(policy: RoutePolicy | None = None) -> AsyncIterator[tuple[Fleet, Upstream, Peer]]:
    async with Upstream(shout) as upstream, fleet(policy) as f:
        f.add(upstream)
        async with f.client() as client:
            client.send(UPGRADE)
            head = await client.head()
            assert head.status == 101
            assert head.one("Connection") == "Upgrade"
            assert head.one("Upgrade") == "websocket"
            assert await client.reader.readexactly(5) == b"hello"
            yield f, upstream, client


@LOOPS
def test_bytes_pass_both_ways_and_the_end_of_each_way_too(loop: str) -> None:
    async def main() -> None:
        async with tunnel() as (f, upstream, client):
            for text in (b"one", b"\x81\x03two", b"x" * 100_000):
                client.send(text)
                assert await client.reader.readexactly(len(text)) == text.upper()
            assert f.connections() == 1
            client.writer.write_eof()
            assert await client.reader.read(-1) == b"bye"
            await until(lambda: f.connections() == 0, "the lease is not given back")
            assert upstream.connections == 1

    run(main(), loop)


def test_bytes_sent_along_with_the_request_go_through_the_tunnel() -> None:
    async def main() -> None:
        async with Upstream(shout) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(UPGRADE + "early")
                assert (await client.head()).status == 101
                assert await client.reader.readexactly(10) == b"helloEARLY"

    run(main())


@LOOPS
def test_a_client_that_goes_away_ends_the_tunnel(loop: str) -> None:
    async def main() -> None:
        async with tunnel() as (f, upstream, client):
            client.cut()
            await until(lambda: upstream.cut_at, "the instance is not told")
            await until(lambda: f.connections() == 0, "the lease is not given back")

    run(main(), loop)


def test_an_instance_that_goes_away_ends_the_tunnel() -> None:
    async def main() -> None:
        async with tunnel() as (f, upstream, client):
            await upstream.stop()
            await client.reader.read(-1)
            client.writer.write_eof()
            await until(lambda: f.connections() == 0, "the lease is not given back")

    run(main())


def test_a_tunnel_can_be_cut_by_instance() -> None:
    async def main() -> None:
        async with tunnel() as (f, _, client):
            assert f.gateway.cut_tunnels("api-2") == 0
            assert f.gateway.cut_tunnels("api-1") == 1
            assert await client.ended()
            await until(lambda: f.connections() == 0, "the lease is not given back")

    run(main())


def test_an_idle_tunnel_is_cut_after_the_idle_limit() -> None:
    async def main() -> None:
        policy = RoutePolicy(limits=LimitOptions(idle=0.2))
        async with tunnel(policy) as (_, upstream, client):
            assert await client.ended()
            await until(lambda: upstream.cut_at, "the instance is not told")

    run(main())


def test_tunnels_do_not_count_against_the_limits() -> None:
    async def main() -> None:
        policy = RoutePolicy(limits=LimitOptions(in_flight=1, queue=0))
        async with tunnel(policy) as (f, _, _client), f.client() as other:
            other.send(UPGRADE)
            assert (await other.head()).status == 101
            assert f.connections() == 2

    run(main())


def test_closing_the_front_door_cuts_a_tunnel_when_the_drain_time_is_over() -> None:
    async def main() -> None:
        async with tunnel() as (f, _, client):
            begun = asyncio.get_running_loop().time()
            await f.gateway.close_front_door("api", drain_timeout=0.1)
            assert 0.09 < asyncio.get_running_loop().time() - begun < 1
            assert await client.ended()

    run(main())


def test_a_refused_upgrade_is_an_ordinary_response() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: h3\r\n")
        peer.send("Content-Length: 2\r\n\r\nno")
        await peer.ended()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(UPGRADE)
            assert (response.status, response.body) == (426, b"no")
            assert response.one("Upgrade") == "h3"

    run(main())
