"""Ordinary requests pass without a task, and nobody can tell."""

import asyncio
import re

import pytest

from tests.proxy.harness import (
    Peer,
    Request,
    Response,
    Upstream,
    get,
    ok,
    post,
    run,
    until,
)
from tests.proxy.lanes import echo, lane_fleet, route_of
from tests.proxy.scripts import LOOPS
from tests.proxy.test_smuggling import CATALOGUE, HOST

TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")
EACH_TIME = ("x-request-id", "traceparent", "x-msctl-deadline-ms")


@LOOPS
def test_an_ordinary_request_passes_without_a_task(loop: str) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await go_on.wait()
            peer.send(ok("hello"))

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            go_on.set()
            await lane.warm()
            go_on.clear()
            async with f.client() as client:
                client.send(get("/a?b"))
                await until(lambda: len(upstream.requests) == 2, "the request does not arrive")
                assert lane.in_flight()
                assert lane.tasks() == 0
                assert (f.connections(), route_of(f).in_flight) == (1, 1)
                go_on.set()
                response = await client.response()
                assert (response.status, response.body) == (200, b"hello")
                assert (lane.taken, lane.done, lane.adopted, lane.tasks()) == (1, 1, 0, 0)
                assert f.connections() == 0

    go_on = asyncio.Event()
    run(main(), loop)


@LOOPS
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("size", [0, 1, 3000])
def test_every_usual_method_passes_with_its_body(method: str, size: int, loop: str) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                for _ in range(3):
                    client.send(post("x" * size, method=method))
                    assert (await client.response()).body == b"x" * size
            assert (lane.done, lane.adopted) == (3, 0)
            assert upstream.connections == 1

    run(main(), loop)


def content(request: Request) -> tuple[str, list[str], bytes]:
    """What a request says, but for its ids and its time."""
    lines = [line for line in request.lines if line.partition(":")[0].lower() not in EACH_TIME]
    return request.line, sorted(lines), request.body


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Accept: */*", "User-Agent: curl/8", "Accept-Encoding: gzip, br"),
        ("X-B:\t one  two", "x-a:", "X-b: \xff", "Cookie: a=b; c"),
        ("Connection: keep-alive, X-Secret", "X-Secret: 1", "Keep-Alive: 3", "X-Kept: 1"),
        ("TE: trailers", "Connection: TE", "Proxy-Connection: keep-alive"),
        ("X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"),
        ("Via: 1.0 other", "Via: 1.1 another", "X-Msctl-Reason: loop", "X-Msctl-Attempts: 3"),
        ("Connection: Host, Content-Length, X-Forwarded-For",),
        ("Content-Length: 0", "Upgrade-Insecure-Requests: 1"),
        ("Accept: text/html, text/plain;q=0.1",),
        ("Connection: close",),
    ],
)
def test_an_instance_gets_what_it_gets_without_the_lane(lines: tuple[str, ...]) -> None:
    async def one(*, express: bool) -> tuple[Request, Response]:
        async with Upstream(echo) as upstream, lane_fleet(express=express) as (f, lane):
            f.add(upstream)
            await lane.warm()
            response = await f.call(get("/a//b?c=%20&d", *lines))
            assert lane.done == express
            return upstream.requests[-1], response

    async def main() -> None:
        (fast, fast_response), (plain, plain_response) = [
            await one(express=express) for express in (True, False)
        ]
        assert content(fast) == content(plain)
        assert fast_response == plain_response
        for name in EACH_TIME:
            assert fast.one(name)
        assert 29_000 < int(fast.one("X-Msctl-Deadline-Ms")) <= 30_000

    run(main())


def test_every_request_has_ids_of_its_own() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                for _ in range(50):
                    client.send(get())
                    await client.response()
            assert lane.done == 50
            requests = upstream.requests
            assert len({request.one("X-Request-Id") for request in requests}) == 51
            assert all(re.fullmatch("[0-9a-f]{32}", r.one("X-Request-Id")) for r in requests)
            traces = [request.one("traceparent") for request in requests]
            assert all(TRACE.fullmatch(trace) for trace in traces)
            assert len({trace[3:35] for trace in traces}) == 51
            assert len({trace[36:52] for trace in traces}) == 51

    run(main())


@pytest.mark.parametrize(
    "text",
    [
        get("/", "X-Request-Id: mine"),
        get("/", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        get("/", "tracestate: a=b"),
        get("/", "X-Msctl-Hops: 3"),
        get("/", "X-Msctl-Deadline-Ms: 2000"),
        get("/", "X-Msctl-Instance: api-9"),
        get("/", "Accept: text/event-stream"),
        get("/", "Accept: text/html, Text/Event-Stream;q=1"),
        get("/", "Connection: upgrade", "Upgrade: websocket"),
        get("/", "Idempotency-Key: a", method="POST"),
        get("/", "Transfer-Encoding: chunked", method="POST") + "3\r\nabc\r\n0\r\n\r\n",
        post("abc", "Expect: 100-continue"),
        post("x" * 70_000),
        get("http://other:1/a"),
        get("*", method="OPTIONS"),
        get(method="TRACE"),
        get(method="PROPFIND"),
        get("/", "X: " + "y" * 5000),
        get("/\xff"),
        "\r\n" + get(),
        "GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_what_is_not_ordinary_is_served_by_a_task_to_the_same_effect(text: str) -> None:
    async def one(*, express: bool) -> tuple[tuple[str, list[str], bytes], Response]:
        async with Upstream(echo) as upstream, lane_fleet(express=express) as (f, lane):
            f.add(upstream)
            await lane.warm()
            response = await f.call(text)
            assert lane.taken == 0
            return content(upstream.requests[-1]), response

    async def main() -> None:
        assert await one(express=True) == await one(express=False)

    run(main())


@LOOPS
def test_pipelined_requests_are_answered_in_their_order(loop: str) -> None:
    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.line.startswith("GET /0"):
                await go_on.wait()
            peer.send(ok(request.body.decode()))

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(get("/0"))
                await until(lambda: len(upstream.requests) == 2, "the request does not arrive")
                for number in range(1, 20):
                    client.send(post(f"{number}"))
                await until(lambda: lane.in_flight()[0].buffer, "the others do not arrive")
                go_on.set()
                bodies = [(await client.response()).body for _ in range(20)]
                assert bodies == [b"", *(b"%d" % number for number in range(1, 20))]
                await until(lambda: not lane.tasks(), "the task stays")
                client.send(get("/last"))
                await client.response()
            assert (lane.done, lane.adopted) == (2, 0)

    go_on = asyncio.Event()
    run(main(), loop)


@LOOPS
@pytest.mark.parametrize("cut", [1, 20, 36, 60, -4, -2])
def test_a_request_in_two_pieces_is_served_and_the_next_one_takes_the_lane(
    cut: int, loop: str
) -> None:
    text = post("0123456789")

    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                for taken in (1, 2):
                    client.send(text)
                    assert (await client.response()).body == b"0123456789"
                    client.send(text[:cut])
                    await until(lambda: lane.tasks() == 1, "nobody waits for the rest")
                    client.send(text[cut:])
                    assert (await client.response()).body == b"0123456789"
                    await until(lambda: lane.tasks() == 0, "the task stays")
                    assert (lane.taken, lane.done) == (taken, taken)

    run(main(), loop)


def test_the_smuggling_catalogue_is_refused_after_a_request_on_the_lane() -> None:
    async def answers(*, express: bool) -> list[tuple[int, str]]:
        found = []
        async with Upstream(echo) as upstream, lane_fleet(express=express) as (f, lane):
            f.add(upstream)
            await lane.warm()
            for template in CATALOGUE.values():
                raw = template.replace(b"%b", HOST).removesuffix(b"\r\n") + b"\r\n\r\n"
                before, lane.done = len(upstream.requests), 0
                async with f.client() as client:
                    client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
                    await client.response()
                    assert lane.done == express
                    client.send(raw + b"0\r\n\r\n" + get("/smuggled").encode())
                    response = await client.response()
                    assert await client.ended()
                found.append((response.status, response.one("X-Msctl-Reason")))
                assert len(upstream.requests) == before + 1
        return found

    async def main() -> None:
        fast, plain = await answers(express=True), await answers(express=False)
        assert fast == plain
        assert {status for status, _ in fast} == {400}

    run(main())


def test_a_target_of_64_kib_is_431_although_its_fields_are_familiar() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(get())
                await client.response()
                [connection] = lane.connections()
                # At once, as the kernel may hand it over.
                connection.data_received(get("/" + "x" * 70_000).encode())
                assert (await client.response()).status == 431
            assert len(upstream.requests) == 2

    run(main())


@LOOPS
def test_what_follows_a_request_that_was_to_be_the_last_is_never_one(loop: str) -> None:
    """And does not cost the client its answer, by a close with something unread."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await peer.request()
        await go_on.wait()
        peer.send(ok())
        await peer.ended()

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(get("/last", "Connection: close"))
                await until(lambda: len(upstream.requests) == 2, "the request does not arrive")
                client.send(get("/more") * 30_000)  # more than is read of it
                await until(lambda: not lane.connections()[0]._reading, "everything is read")
                go_on.set()
                response = await client.response()
                assert response.one("Connection") == "close"
                client.writer.close()
            assert lane.taken == 1
            assert len(upstream.requests) == 2

    go_on = asyncio.Event()
    run(main(), loop)
