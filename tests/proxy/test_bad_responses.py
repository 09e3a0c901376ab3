"""Responses that break the protocol, or break off."""

import asyncio

import pytest

from tests.proxy.harness import (
    Peer,
    Upstream,
    answering,
    fleet,
    get,
    ok,
    run,
)
from tests.proxy.scripts import LOOPS, problem


@pytest.mark.parametrize(
    "raw",
    [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nX: " + "x" * 70_000 + "\r\n\r\n",
    ],
)
def test_a_malformed_response_is_bad_response_and_not_tried_again(raw: str) -> None:
    async def main() -> None:
        async with Upstream(answering(raw)) as bad, Upstream(answering(raw)) as other, fleet() as f:
            f.add(bad, 1)
            f.add(other, 2)
            assert problem(await f.call(get())) == (502, "bad_response")
            assert bad.connections + other.connections == 1

    run(main())


@LOOPS
@pytest.mark.parametrize(
    "raw",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
@pytest.mark.parametrize("rest", ["", "zz\r\n"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_break_in_mid_body_cuts_the_client_and_counts_as_one_more_failure(
    raw: str, rest: str, version: str, loop: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(raw)
        await peer.writer.drain()
        await relayed.wait()
        peer.send(rest)

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n")
                await client.head()
                await client.reader.readuntil(b"abc")
                relayed.set()
                # A reset, since the end of the connection is an end of the body for HTTP/1.0.
                with pytest.raises(ConnectionResetError):
                    await client.reader.readexactly(100)
            route = f.router.route("api")
            assert route is not None
            assert route.instance_breaker("api-1").snapshot().failures == 1

    relayed = asyncio.Event()
    run(main(), loop)


def test_a_break_of_a_close_delimited_body_is_told_from_its_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\n\r\nabc")
        await relayed.wait()
        peer.reset()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await client.head()
                assert await client.chunk() == b"abc"
                relayed.set()
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await client.chunk()

    relayed = asyncio.Event()
    run(main())


def test_a_connection_that_owes_part_of_a_request_is_not_used_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.lines()
        peer.send(ok("early"))
        await asyncio.Event().wait()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as first:
                first.send(get("/", "Content-Length: 10", method="PUT") + "abc")
                assert (await first.response()).body == b"early"
                assert (await f.call(get())).body == b"early"
            assert upstream.connections == 2

    run(main())
