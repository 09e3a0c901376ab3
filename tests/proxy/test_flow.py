"""Bodies of any size, and what happens when one side is slower than the other."""

import asyncio
import contextlib
import gc
import tracemalloc

import pytest

from tests.proxy.harness import Peer, Upstream, echo, fleet, get, ok, run, until
from tests.proxy.scripts import LOOPS

MIB = 1 << 20
BIG = 64 * MIB
IN_BETWEEN = 24 * MIB
"""More than the kernel's socket buffers and the proxy's own can hold together."""


async def fill(peer: Peer, total: int, sent: list[int]) -> None:
    """Write as fast as the other side takes it; counts what has gone out."""
    piece = b"x" * 65536
    peer.writer.transport.set_write_buffer_limits(0)
    for _ in range(total // len(piece)):
        peer.send(piece)
        await peer.writer.drain()
        sent[0] += len(piece)


async def standstill(sent: list[int]) -> int:
    """Wait until nothing has gone out for a while; returns how much that was."""
    before = -1
    while sent[0] != before:
        before = sent[0]
        await asyncio.sleep(0.15)  # a standstill is nothing but time
    return before


@LOOPS
def test_a_slow_client_stops_the_instance_and_then_gets_everything(loop: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
        await fill(peer, BIG, sent)

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await client.head()
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # reads too
                assert 0 < await standstill(sent) < IN_BETWEEN
                client.writer.transport.resume_reading()  # type: ignore[attr-defined]
                received = 0
                while received < BIG:
                    received += len(await client.reader.read(MIB))
                assert received == BIG

    sent = [0]
    run(main(), loop)


@LOOPS
@pytest.mark.parametrize("coding", ["Content-Length", "chunked"])
def test_a_slow_instance_stops_the_client_and_then_gets_everything(coding: str, loop: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.lines()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # reads too
        await go_on.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        received = 0
        while received < BIG:
            if coding == "chunked":
                received += len(await peer.chunk())
            else:
                received += len(await peer.reader.read(MIB))
        peer.send(ok(str(received)))
        await peer.reader.read(100)

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                if coding == "chunked":
                    client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
                    client.send(b"%x\r\n" % BIG)
                else:
                    client.send(get("/", f"Content-Length: {BIG}", method="POST"))
                filling = asyncio.create_task(fill(client, BIG, sent))
                assert 0 < await standstill(sent) < IN_BETWEEN
                go_on.set()
                await filling
                if coding == "chunked":
                    client.send(b"\r\n0\r\n\r\n")
                assert (await client.response()).body == b"%d" % BIG

    sent = [0]
    go_on = asyncio.Event()
    run(main(), loop)


def test_memory_does_not_grow_with_a_body() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
        await fill(peer, BIG, [0])

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await client.head()
                gc.collect()
                tracemalloc.start()
                received = 0
                while received < BIG:
                    received += len(await client.reader.read(MIB))
                assert tracemalloc.get_traced_memory()[1] < 4 * MIB

    try:
        run(main())
    finally:
        tracemalloc.stop()


def test_answers_that_a_client_does_not_read_do_not_pile_up() -> None:
    body = "x" * 60_000

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(ok(body))

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # reads too
                client.send(get() * 1000)
                answered = [0]

                async def count() -> None:
                    while True:
                        answered[0] = len(upstream.requests)
                        await asyncio.sleep(0.01)

                counting = asyncio.create_task(count())
                await until(lambda: upstream.requests, "no request arrives")
                assert await standstill(answered) < 500
                counting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await counting
                client.writer.transport.resume_reading()  # type: ignore[attr-defined]
                for _ in range(1000):
                    assert len((await client.response()).body) == len(body)

    run(main())


@LOOPS
@pytest.mark.parametrize("text", ["GET / HTTP/3.0\r\n\r\n", get("/", "Content-Length: 9999999")])
def test_a_client_that_is_still_sending_gets_its_answer_and_a_clean_end(
    text: str, loop: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.lines()
        peer.send("HTTP/1.1 505 No\r\nContent-Length: 2\r\n\r\nno")
        await peer.writer.drain()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(text)
                for _ in range(8):  # more than is read away for a connection to be kept
                    client.send(b"x" * 100_000)
                    await client.writer.drain()
                assert (await client.response()).status == 505
                assert await client.reader.read(1) == b""

    run(main(), loop)


@pytest.mark.parametrize("answered", [False, True])
def test_a_fault_within_a_body_cuts_the_instance_and_is_400_if_nothing_was_said(
    *, answered: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.lines()
        if answered:
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await peer.chunk()
        arrived.set()
        await peer.chunk()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
                client.send("3\r\nabc\r\n")
                await arrived.wait()
                if answered:
                    assert (await client.head()).status == 200
                client.send("0x3\r\nabc\r\n")
                if not answered:
                    response = await client.response()
                    assert response.status == 400
                    assert response.one("X-Msctl-Reason") == "bad_request"
                    assert response.one("Connection") == "close"
                assert await client.ended()
            await until(lambda: upstream.cut_at, "the instance is not cut")
            assert f.connections() == 0
            route = f.router.route("api")
            assert route is not None
            assert route.instance_breaker("api-1").state(0.0) == "closed"

    arrived = asyncio.Event()
    run(main())


@pytest.mark.parametrize(
    "raw",
    [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\n",
    ],
)
def test_a_bad_head_is_refused_and_what_follows_it_is_never_a_request(raw: str) -> None:
    """The attack hides a second request where the first reader sees a body."""

    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get("/fine") + raw + "0\n\r\n\r\n" + get("/smuggled"))
                assert (await client.response()).status == 200
                response = await client.response()
                assert response.status == 400
                assert response.one("Connection") == "close"
                assert await client.ended()
            assert [request.line for request in upstream.requests] == ["GET /fine HTTP/1.1"]

    run(main())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET /" + "x" * 70_000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        ("\x16\x03\x01\x02\x00", 400),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_status(raw: str, status: int) -> None:
    async def main() -> None:
        async with fleet() as f, f.client() as client:
            client.send(raw)
            assert (await client.response()).status == status
            assert await client.ended()

    run(main())
