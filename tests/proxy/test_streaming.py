"""Responses in several parts: interim ones, event streams, both ways at once."""

import asyncio

from tests.proxy.harness import Peer, Upstream, answering, fleet, get, ok, run
from tests.proxy.scripts import LOOPS


def test_interim_responses_come_through_and_100_only_once() -> None:
    async def script(peer: Peer) -> None:
        head = await peer.head()
        assert head.one("Expect") == "100-continue"
        peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        body = await peer.reader.readexactly(4)
        peer.send(ok(body.decode()))

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
                assert (await client.response()).status == 100
                hints = await client.response()
                assert (hints.status, hints.one("Link")) == (103, "a")
                client.send("data")
                assert (await client.response()).body == b"data"

    run(main())


def test_a_final_answer_instead_of_100_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await peer.ended()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
                assert (await client.response()).status == 413
                assert await client.ended()

    run(main())


def test_http_1_0_gets_no_interim_responses() -> None:
    async def main() -> None:
        raw = "HTTP/1.1 103 Early Hints\r\n\r\n" + ok("x")
        async with Upstream(answering(raw)) as upstream, fleet() as f:
            f.add(upstream)
            assert (await f.call("GET / HTTP/1.0\r\n\r\n")).status == 200

    run(main())


@LOOPS
def test_an_event_stream_is_passed_on_event_by_event(loop: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        peer.send("Transfer-Encoding: chunked\r\n\r\n")
        for i in range(3):
            peer.send(f"9\r\ndata: {i}\n\n\r\n")
            await asked[i].wait()
        peer.send("0\r\n\r\n")

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Accept: text/event-stream"))
                await client.head()
                for i in range(3):
                    assert await client.chunk() == b"data: %d\n\n" % i
                    assert f.connections() == 1
                    asked[i].set()
                assert await client.chunk() == b""
            assert f.connections() == 0

    asked = [asyncio.Event() for _ in range(3)]
    run(main(), loop)


def test_a_response_before_the_request_is_complete_comes_through_both_ways() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while data := await peer.chunk():
            peer.send(b"%x\r\n%b\r\n" % (len(data), data))
        peer.send("0\r\n\r\n")

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
                await client.head()
                for word in (b"one", b"second"):
                    client.send(b"%x\r\n%b\r\n" % (len(word), word))
                    assert await client.chunk() == word
                client.send("0\r\n\r\n")
                assert await client.chunk() == b""

    run(main())
