"""What happens when an instance does not answer as it should (router.md, What counts)."""

import asyncio
import json
import socket
from dataclasses import replace

import pytest

from msctl.core.router import LimitOptions, RoutePolicy
from msctl.model import Health, ServiceStatus
from tests.proxy.harness import (
    Fleet,
    Peer,
    Response,
    Upstream,
    answering,
    echo,
    fleet,
    get,
    listening,
    ok,
    post,
    run,
    until,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


async def reset(peer: Peer) -> None:
    """Read the request, then break the connection."""
    await peer.request()
    peer.cut()


async def hang(peer: Peer) -> None:
    """Read the request and never answer; ends when the proxy gives up."""
    await peer.request()
    if await peer.ended():
        raise ConnectionError


def problem(response: Response) -> tuple[int, str]:
    assert response.one("Content-Type") == "application/problem+json"
    document = json.loads(response.body)
    assert document["status"] == response.status
    assert document["reason"] == response.one("X-Msctl-Reason")
    assert document["detail"]
    return response.status, document["reason"]


def set_aside(f: Fleet, number: int = 1) -> None:
    f.registry.update(f"api-{number}", 1, health=Health.UNHEALTHY)


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


def test_a_call_waits_for_a_starting_instance() -> None:
    async def main() -> None:
        async with fleet() as f, Upstream(echo) as upstream:
            instance = f.add(upstream)
            f.registry.update(instance.id, 1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
            task = asyncio.create_task(f.call(get()))
            door = f.gateway._front_doors["api"]
            await until(lambda: door.connections == 1, "the client does not arrive")
            f.registry.update(instance.id, 1, status=ServiceStatus.RUNNING, health=Health.HEALTHY)
            assert (await task).status == 200

    run(main())


def test_no_instance_is_503_with_retry_after() -> None:
    async def main() -> None:
        async with fleet() as f:
            response = await f.call(get())
            assert problem(response) == (503, "no_instances")
            assert int(response.one("Retry-After")) >= 1
            assert response.one("X-Msctl-Attempts") == "0"
            assert response.all("X-Msctl-Instance") == []

    run(main())


def test_a_full_service_is_503_overloaded_and_the_queue_is_first_in_first_out() -> None:
    policy = RoutePolicy(limits=LimitOptions(in_flight=1, queue=1))

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await free.wait()
            peer.send(ok(request.line.split()[1]))

    async def main() -> None:
        async with Upstream(script) as upstream, fleet(policy) as f:
            f.add(upstream)
            first = asyncio.create_task(f.call(get("/1")))
            await until(lambda: upstream.requests, "the first does not arrive")
            second = asyncio.create_task(f.call(get("/2")))
            door = f.gateway._front_doors["api"]
            await until(lambda: door.connections == 2, "the second does not arrive")
            await asyncio.sleep(0.01)  # its head is read a moment later
            response = await f.call(get("/3"))
            assert problem(response) == (503, "overloaded")
            assert response.all("Retry-After")
            free.set()
            assert ((await first).body, (await second).body) == (b"/1", b"/2")

    free = asyncio.Event()
    run(main())


def test_an_open_breaker_is_503_breaker_open() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            route = f.router.route("api")
            assert route is not None
            route.breaker.force_open(0.0, None)
            response = await f.call(get())
            assert problem(response) == (503, "breaker_open")
            assert response.all("Retry-After") == []
            assert upstream.connections == 0

    run(main())


def test_a_refused_call_leaves_the_connection_usable_and_head_has_no_body() -> None:
    async def main() -> None:
        async with fleet() as f, Upstream(echo) as upstream, f.client() as client:
            client.send(post("x" * 1000))
            assert problem(await client.response()) == (503, "no_instances")
            client.send(get(method="HEAD"))
            response = await client.response(bodiless=True)
            assert response.status == 503
            assert int(response.one("Content-Length")) > 0
            f.add(upstream)
            client.send(post("now"))
            assert (await client.response()).body == b"now"

    run(main())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("X-Msctl-Hops: 16",), (508, "loop")),
        (("X-Msctl-Hops: 999999999",), (508, "loop")),
        (("X-Msctl-Hops: x",), (400, "bad_request")),
        (("X-Msctl-Hops: 1", "X-Msctl-Hops: 1"), (400, "bad_request")),
        (("X-Msctl-Deadline-Ms: 0",), (504, "timeout")),
        (("X-Msctl-Deadline-Ms: soon",), (400, "bad_request")),
    ],
)
def test_a_loop_and_a_spent_deadline_end_before_anything_is_sent(
    lines: tuple[str, ...], expected: tuple[int, str]
) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            assert problem(await f.call(get("/", *lines))) == expected
            assert upstream.connections == 0

    run(main())


def test_sixteen_hops_are_no_loop_and_a_callers_deadline_is_passed_on_shortened() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            await f.call(get("/", "X-Msctl-Hops: 15", "X-Msctl-Deadline-Ms: 500"))
            await f.call(get("/", "X-Msctl-Deadline-Ms: 99999999"))
            first, second = upstream.requests
            assert first.one("X-Msctl-Hops") == "16"
            assert 0 < int(first.one("X-Msctl-Deadline-Ms")) <= 500
            assert int(second.one("X-Msctl-Deadline-Ms")) <= 30_000

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


def test_a_connection_that_owes_part_of_a_request_is_not_used_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.lines()
        peer.send(ok("early"))
        await peer.ended()

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as first:
                first.send(get("/", "Content-Length: 10", method="PUT") + "abc")
                assert (await first.response()).body == b"early"
                assert (await f.call(get())).body == b"early"
            assert upstream.connections == 2

    run(main())


def test_an_event_stream_does_not_count_against_the_limits_also_when_not_announced() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n")
        await peer.ended()

    async def main() -> None:
        policy = RoutePolicy(limits=LimitOptions(in_flight=1, queue=0))
        async with Upstream(script) as upstream, fleet(policy) as f:
            f.add(upstream)
            async with f.client() as one, f.client() as two:
                for client in (one, two):
                    client.send(get())
                    assert (await client.head()).status == 200
                assert f.connections() == 2

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
