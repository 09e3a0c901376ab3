"""What the router answers by itself, and what waits for an instance."""

import asyncio

import pytest

from msctl.core.router import LimitOptions, RoutePolicy
from msctl.model import Health, ServiceStatus
from tests.proxy.harness import (
    Peer,
    Upstream,
    echo,
    fleet,
    get,
    ok,
    post,
    run,
    until,
)
from tests.proxy.scripts import problem


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
