"""Which attempts are made again elsewhere (router.md, What counts)."""

import asyncio
import socket
from dataclasses import replace

import pytest

from msctl.core.router import RoutePolicy
from tests.proxy.harness import (
    Peer,
    Upstream,
    answering,
    echo,
    fleet,
    get,
    listening,
    ok,
    post,
    run,
)
from tests.proxy.scripts import LOOPS, problem, reset


@pytest.mark.parametrize("request_text", [get(), post("body")])
def test_a_refused_connection_is_tried_elsewhere_for_any_method(request_text: str) -> None:
    async def main() -> None:
        async with Upstream(echo) as alive, Upstream(echo) as dead, fleet() as f:
            f.add(dead, 1)
            f.add(alive, 2)
            await dead.stop()
            for _ in range(2):
                response = await f.call(request_text)
                assert response.one("X-Msctl-Instance") == "api-2"
            assert f.refused == ["api-1"]

    run(main())


def test_nothing_listening_anywhere_is_connect_failed() -> None:
    async def main() -> None:
        async with Upstream(echo) as dead, fleet() as f:
            f.add(dead)
            await dead.stop()
            response = await f.call(get())
            assert problem(response) == (502, "connect_failed")
            assert response.one("X-Msctl-Attempts") == "1"
            assert response.one("X-Msctl-Instance") == "api-1"

    run(main())


def test_a_listener_that_does_not_accept_is_given_up_after_a_second() -> None:
    """A full backlog drops connection attempts, which is what a hung process looks like."""

    async def main() -> None:
        full = listening(backlog=0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)  # noqa: FBT003 - the name of the method says it
            filler.connect_ex(full.getsockname())
        try:
            async with fleet() as f:
                upstream = Upstream(echo)
                upstream.port = full.getsockname()[1]
                f.add(upstream)
                begun = asyncio.get_running_loop().time()
                assert problem(await f.call(get())) == (502, "connect_failed")
                assert 0.9 < asyncio.get_running_loop().time() - begun < 2
                assert f.refused == []
        finally:
            for sock in (full, *fillers):
                sock.close()

    run(main())


@LOOPS
def test_a_reset_is_tried_elsewhere_when_the_method_allows_it(loop: str) -> None:
    async def main() -> None:
        async with Upstream(reset) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            f.add(good, 2)
            for _ in range(4):
                response = await f.call(get())
                assert response.one("X-Msctl-Instance") == "api-2"
            assert bad.connections >= 1

    run(main(), loop)


@LOOPS
@pytest.mark.parametrize("part", ["", "half"])
def test_an_answer_that_breaks_off_before_any_of_it_was_relayed_is_no_answer(
    part: str, loop: str
) -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{part}")

    async def main() -> None:
        async with Upstream(half) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            f.add(good, 2)
            for _ in range(4):
                response = await f.call(get())
                assert response.one("X-Msctl-Instance") == "api-2"
            assert bad.connections >= 1

    run(main(), loop)


def test_a_short_body_that_trickles_in_is_relayed_as_it_comes() -> None:
    async def trickle(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        await relayed.wait()
        peer.send("half")

    async def main() -> None:
        async with Upstream(trickle) as upstream, fleet() as f, f.client() as client:
            f.add(upstream)
            client.send(get())
            await client.head()
            await client.reader.readexactly(4)
            relayed.set()
            await client.reader.readexactly(4)

    relayed = asyncio.Event()
    run(main())


def test_a_reset_of_a_post_is_502_and_goes_nowhere_else() -> None:
    async def main() -> None:
        async with Upstream(reset) as bad, fleet() as f, Upstream(reset) as other:
            f.add(bad, 1)
            f.add(other, 2)
            assert problem(await f.call(post("x"))) == (502, "upstream_reset")
            assert bad.connections + other.connections == 1

    run(main())


def test_a_body_is_sent_again_whole_when_it_is_tried_elsewhere() -> None:
    body = "x" * 60_000

    async def main() -> None:
        async with Upstream(reset) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            f.add(good, 2)
            for _ in range(3):
                response = await f.call(post(body, method="PUT"))
                assert response.body.decode() == body
            assert {len(request.body) for request in bad.requests} == {60_000}

    run(main())


def test_a_body_above_64_kib_is_not_sent_again() -> None:
    async def main() -> None:
        async with Upstream(reset) as bad, Upstream(reset) as other, fleet() as f:
            f.add(bad, 1)
            f.add(other, 2)
            response = await f.call(post("x" * 70_000, method="PUT"))
            assert problem(response) == (502, "upstream_reset")
            assert bad.connections + other.connections == 1

    run(main())


def test_a_connection_closed_between_requests_is_nobodys_fault() -> None:
    """The instance closes at the moment the request is on its way; get() allows another try."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok("first"))
        await peer.reader.readexactly(1)
        peer.cut()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            for _ in range(2):
                response = await f.call(get())
                assert (response.body, response.one("X-Msctl-Attempts")) == (b"first", "1")
            assert upstream.connections == 2
            route = f.router.route("api")
            assert route is not None
            assert route.instance_breaker("api-1").state(0.0) == "closed"

    run(main())


def test_a_kept_connection_that_the_instance_closed_is_not_used_for_a_post() -> None:
    async def main() -> None:
        async with Upstream(answering(ok("x"))) as upstream, fleet() as f:
            f.add(upstream)
            for _ in range(5):
                assert (await f.call(post("a"))).status == 200
            assert upstream.connections == 5

    run(main())


@pytest.mark.parametrize("status", [500, 501, 404, 429])
def test_other_statuses_are_passed_on_as_they_are(status: int) -> None:
    raw = f"HTTP/1.1 {status} Odd\r\nContent-Length: 3\r\n\r\nwhy"

    async def main() -> None:
        async with Upstream(answering(raw)) as one, Upstream(answering(raw)) as other, fleet() as f:
            f.add(one, 1)
            f.add(other, 2)
            response = await f.call(get())
            assert (response.status, response.body) == (status, b"why")
            assert response.all("X-Msctl-Reason") == []
            assert one.connections + other.connections == 1

    run(main())


@pytest.mark.parametrize("status", [502, 503, 504])
def test_502_to_504_are_tried_elsewhere_and_the_last_one_is_passed_on(status: int) -> None:
    raw = f"HTTP/1.1 {status} Busy\r\nContent-Length: 3\r\n\r\nwhy"

    async def main() -> None:
        async with Upstream(answering(raw)) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            f.add(good, 2)
            for _ in range(2):
                assert (await f.call(get())).status == 200
            assert bad.connections == 1
            f.registry.unregister_service("api-2")
            response = await f.call(get())
            assert (response.status, response.body) == (status, b"why")

    run(main())


def test_a_response_that_is_dropped_for_a_retry_leaves_its_connection_usable() -> None:
    busy = "HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nwhy"

    async def main() -> None:
        async with Upstream(answering(busy, busy)) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            f.add(good, 2)
            for _ in range(4):
                assert (await f.call(get())).status == 200
            assert (len(bad.requests), bad.connections) == (2, 1)

    run(main())


def test_each_attempt_gets_a_new_parent_in_the_same_trace() -> None:
    async def main() -> None:
        async with Upstream(reset) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            f.add(good, 2)
            for _ in range(2):
                await f.call(get("/", f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"))
            parents = [r.one("traceparent") for r in (*bad.requests, *good.requests)]
            assert len(parents) == len(set(parents)) == 3
            assert {parent[:35] for parent in parents} == {f"00-{'a' * 32}"}

    run(main())


def test_a_second_attempt_does_not_ask_for_100_again() -> None:
    async def script(peer: Peer) -> None:
        head = await peer.head()
        assert head.one("Expect") == "100-continue"
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        await peer.reader.readexactly(1)
        peer.cut()

    async def main() -> None:
        async with Upstream(script) as bad, Upstream(echo) as good, fleet() as f:
            f.add(bad, 1)
            while bad.connections == 0:
                async with f.client() as client:
                    client.send(get("/", "Expect: 100-continue", "Content-Length: 3", method="PUT"))
                    assert (await client.response()).status == 100
                    f.add(good, 2)
                    client.send("abc")
                    response = await client.response()
                    assert (response.status, response.body) == (200, b"abc")
            assert good.requests[0].all("Expect") == []

    run(main())


def test_a_hook_that_raises_does_not_harm_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_instance: object) -> None:
        raise RuntimeError("hook")

    async def main() -> None:
        async with Upstream(echo) as dead, Upstream(echo) as good, fleet() as f:
            f.gateway._proxy = replace(f.gateway._proxy, on_refused=fail)
            sock = listening()
            f.router.configure("other", RoutePolicy())
            await f.gateway.open_front_door("other", [sock])
            f.add(dead, 1, service="other")
            f.add(good, 2, service="other")
            await dead.stop()
            for _ in range(2):
                async with f.client(sock.getsockname()[1]) as client:
                    client.send(get())
                    assert (await client.response()).status == 200
            assert "instance hook failed" in caplog.text

    run(main())
