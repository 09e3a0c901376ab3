"""What becomes of a request and its response on the way."""

import pytest

from tests.proxy.harness import Upstream, answering, echo, fleet, get, ok, post, run
from tests.proxy.scripts import LOOPS


@LOOPS
def test_a_request_goes_to_the_instance_and_its_response_comes_back(loop: str) -> None:
    async def main() -> None:
        async with Upstream(answering(ok("hello", "X-A: b"))) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(get("/a?b"))
            assert (response.line, response.body) == ("HTTP/1.1 200 OK", b"hello")
            assert response.one("X-A") == "b"
            assert response.one("X-Msctl-Instance") == "api-1"
            assert response.one("X-Msctl-Attempts") == "1"
            assert upstream.requests[0].line == "GET /a?b HTTP/1.1"

    run(main(), loop)


def test_unknown_fields_go_on_byte_for_byte_and_in_their_order() -> None:
    lines = ["X-B:\t one  two", "x-a:", "X-b: \xff"]

    async def main() -> None:
        async with Upstream(answering(ok("", *lines))) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(get("/", *lines))
            assert upstream.requests[0].lines[:4] == ["Host: shop:1", *lines]
            assert response.lines[1:4] == lines

    run(main())


def test_hop_by_hop_fields_and_what_connection_names_stay_here() -> None:
    hop = ("Connection: X-Secret, close", "X-Secret: 1", "Keep-Alive: a", "Proxy-Connection: b")

    async def main() -> None:
        async with Upstream(answering(ok("", *hop, "X-Kept: 1"))) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(get("/", *hop, "X-Kept: 1", "TE: trailers", "Upgrade: x"))
            request = upstream.requests[0]
            for name in ("X-Secret", "Keep-Alive", "Proxy-Connection", "Upgrade"):
                assert request.all(name) == response.all(name) == []
            assert request.one("TE") == "trailers"
            assert request.one("Connection") == "TE"
            assert request.one("X-Kept") == response.one("X-Kept") == "1"
            assert response.one("Connection") == "close"

    run(main())


def test_connection_cannot_take_host_or_length_away() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(post("abc", "Connection: Host, Content-Length, X-Msctl-Hops"))
            assert response.body == b"abc"
            assert upstream.requests[0].one("Host") == "shop:1"

    run(main())


def test_the_way_so_far_is_told_to_the_instance() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await client.response()
                client.send(
                    get(
                        "/",
                        "Via: 1.0 other",
                        "X-Forwarded-For: 10.0.0.1",
                        "X-Forwarded-Proto: https",
                        "X-Forwarded-Host: shop.example",
                        "X-Request-Id: mine",
                        "X-Msctl-Hops: 3",
                    )
                )
                await client.response()
            first, second = upstream.requests
            assert first.one("Via") == "1.1 msctl"
            assert first.one("X-Forwarded-For") == "127.0.0.1"
            assert first.one("X-Forwarded-Proto") == "http"
            assert first.one("X-Forwarded-Host") == "shop:1"
            assert len(first.one("X-Request-Id")) == 32
            assert first.one("X-Msctl-Hops") == "1"
            assert 29_000 < int(first.one("X-Msctl-Deadline-Ms")) <= 30_000
            assert second.all("Via") == ["1.0 other", "1.1 msctl"]
            assert second.one("X-Forwarded-For") == "10.0.0.1, 127.0.0.1"
            assert second.one("X-Forwarded-Proto") == "https"
            assert second.one("X-Forwarded-Host") == "shop.example"
            assert second.one("X-Request-Id") == "mine"
            assert second.one("X-Msctl-Hops") == "4"

    run(main())


def test_an_instance_cannot_speak_for_the_router() -> None:
    said = ("X-Msctl-Reason: loop", "X-Msctl-Instance: x-9", "X-Msctl-Attempts: 7")

    async def main() -> None:
        async with Upstream(answering(ok("", *said))) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(get())
            assert response.all("X-Msctl-Reason") == []
            assert response.one("X-Msctl-Instance") == "api-1"
            assert response.one("X-Msctl-Attempts") == "1"

    run(main())


def test_a_chunked_request_goes_on_chunked_with_trailers_and_without_extensions() -> None:
    raw = get("/", "Transfer-Encoding: chunked", "Trailer: X-Sum", method="POST")
    raw += "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n"

    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(raw)
            assert response.body == upstream.requests[0].body == b"abcde"
            assert upstream.requests[0].trailers == ["X-Sum: 5"]

    run(main())


def test_a_chunked_response_keeps_its_trailers() -> None:
    raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n"

    async def main() -> None:
        async with Upstream(answering(raw)) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(get("/", "TE: trailers"))
            assert (response.body, response.trailers) == (b"abc", ["X-Sum: 3"])

    run(main())


def test_a_body_that_ends_with_the_connection_becomes_chunked_for_http_1_1() -> None:
    async def main() -> None:
        script = answering("HTTP/1.1 200 OK\r\n\r\nto the end")
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            response = await f.call(get())
            assert response.one("Transfer-Encoding") == "chunked"
            assert response.body == b"to the end"
            assert "idle=0" in repr(f)

    run(main())


@pytest.mark.parametrize(
    "raw",
    [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_http_1_0_gets_a_plain_body_and_connection_close(raw: str) -> None:
    async def main() -> None:
        async with Upstream(answering(raw)) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                response = await client.response()
                assert response.all("Transfer-Encoding") == []
                assert response.one("Connection") == "close"
                assert response.body == b"abc"
                assert await client.ended()
            assert upstream.requests[0].line == "GET /x HTTP/1.1"
            assert upstream.requests[0].one("Host") == "localhost"

    run(main())


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_responses_without_a_body_leave_both_connections_usable(method: str, raw: str) -> None:
    async def main() -> None:
        async with Upstream(answering(raw, ok("next"))) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get(method=method))
                response = await client.response(bodiless=True)
                for name in ("Content-Length", "Transfer-Encoding"):
                    assert bool(response.all(name)) == (name in raw)
                client.send(get())
                assert (await client.response()).body == b"next"
            assert upstream.connections == 1

    run(main())


@LOOPS
def test_pipelined_requests_are_answered_in_order(loop: str) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send("".join(post(f"number {i}") for i in range(20)))
                bodies = [(await client.response()).body for _ in range(20)]
            assert bodies == [b"number %d" % i for i in range(20)]
            assert upstream.connections == 1

    run(main(), loop)


def test_an_upstream_connection_is_used_again_by_another_client() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            for _ in range(3):
                await f.call(post("x"))
            assert upstream.connections == 1

    run(main())


def test_bytes_after_a_response_never_become_the_next_one() -> None:
    async def main() -> None:
        script = answering(ok("one") + ok("smuggled"), ok("two"))
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                assert (await client.response()).body == b"one"
                client.send(get())
                assert (await client.response()).body == b"one"
            assert upstream.connections == 2

    run(main())


def test_traceparent_keeps_the_trace_and_gets_a_new_parent() -> None:
    sent = f"00-{'a' * 32}-{'b' * 16}-00"

    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            for value in (sent, f"00-{'0' * 32}-{'b' * 16}-00"):
                await f.call(get("/", f"traceparent: {value}", "tracestate: a=b"))
            kept, replaced = (request.one("traceparent") for request in upstream.requests)
            assert kept.startswith(f"00-{'a' * 32}-")
            assert kept.endswith("-00")
            assert "b" * 16 not in kept
            assert "0" * 32 not in replaced
            assert upstream.requests[0].one("tracestate") == "a=b"
            assert upstream.requests[1].all("tracestate") == []

    run(main())
