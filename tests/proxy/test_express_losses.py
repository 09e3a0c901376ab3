"""Requests on the express lane whose instance is lost, silent or late."""

import asyncio
from collections.abc import Callable

import pytest

from msctl.core.router import RoutePolicy
from msctl.model import ServiceInstance, ServiceStatus
from msctl.proxy.express import ExpressConnection
from tests.proxy.harness import Fleet, Peer, Upstream, get, ok, post, run, until
from tests.proxy.lanes import CUT, CUT_ONCE, HALF_HEAD, HANG, Moody, echo, lane_fleet, route_of
from tests.proxy.scripts import LOOPS, problem, set_aside


def ids(upstream: Upstream) -> tuple[str, str, str]:
    request = upstream.requests[-1]
    _, trace, parent, _ = request.one("traceparent").split("-")
    return request.one("X-Request-Id"), trace, parent


def other_number(connection: ExpressConnection) -> int:
    """The number of the instance that is not asked."""
    return 3 - int(connection._key[0].rpartition("-")[2])


@LOOPS
def test_a_connection_that_was_closed_meanwhile_costs_a_get_nothing(loop: str) -> None:
    moody = Moody()

    async def main() -> None:
        async with Upstream(moody) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                moody.mood = CUT_ONCE
                client.send(get())
                response = await client.response()
                assert response.status == 200
                assert response.one("X-Msctl-Attempts") == "1"
            assert lane.adopted == 1
            assert upstream.connections == 2
            first, second = upstream.requests[-2:]
            assert first.one("X-Request-Id") == second.one("X-Request-Id")
            assert route_of(f).instance_breaker("api-1").snapshot(0.0).failures == 0

    run(main(), loop)


def test_a_connection_that_the_loop_knows_to_be_closed_is_not_taken() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await go_on.wait()

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            go_on.set()
            await until(lambda: "idle=0" in repr(f), "it is kept")
            async with f.client() as client:
                client.send(post("x"))
                assert (await client.response()).status == 200
            assert (lane.taken, lane.adopted) == (1, 1)

    go_on = asyncio.Event()
    run(main())


@pytest.mark.parametrize(
    "method",
    [
        "POST",
        "GET",
    ],
)
def test_a_connection_on_which_something_came_unasked_is_not_taken(method: str) -> None:
    """The loop has not told of it yet, the kernel knows: it would be taken for the answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok("first"))
        await go_on.wait()
        upstream._script = echo
        peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        [connection] = waiting
        connection.data_received(post("x", method=method).encode())
        await peer.ended()

    async def main() -> None:
        async with upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                await until(lane.connections, "the client does not arrive")
                waiting.extend(lane.connections())
                go_on.set()
                assert (await client.response()).body == b"x"

    upstream = Upstream(script)
    waiting: list[ExpressConnection] = []
    go_on = asyncio.Event()
    run(main(), "asyncio")


@LOOPS
@pytest.mark.parametrize("mood", [CUT, HALF_HEAD])
def test_a_broken_instance_is_judged_as_ever(mood: str, loop: str) -> None:
    async def main() -> None:
        results = []
        for express in (True, False):
            moody = Moody()
            async with Upstream(moody) as upstream, lane_fleet(express=express) as (f, lane):
                f.add(upstream)
                await lane.warm()
                moody.mood = mood
                response = await f.call(post("x"))
                snapshot = route_of(f).instance_breaker("api-1").snapshot(0.0)
                results.append((problem(response), moody.unanswered, snapshot.failures))
                assert lane.taken == express
        assert results[0] == results[1]
        assert results[0][1] == 1

    run(main(), loop)


CHANGES: dict[str, Callable[[Fleet, ServiceInstance], object]] = {
    "unhealthy": lambda f, i: set_aside(f, int(i.id[-1])),
    "backoff": lambda f, i: f.registry.update(i.id, 1, status=ServiceStatus.BACKOFF),
    "error": lambda f, i: f.registry.update(i.id, 1, status=ServiceStatus.ERROR),
    "generation": lambda f, i: f.registry.register_service(
        ServiceInstance(id=i.id, service="api", generation=2, port=1)
    ),
}


@LOOPS
@pytest.mark.parametrize("change", CHANGES)
def test_a_get_on_a_lost_instance_goes_elsewhere_with_the_same_ids(change: str, loop: str) -> None:
    async def main() -> None:
        moody = [Moody(), Moody()]
        async with Upstream(moody[0]) as one, Upstream(moody[1]) as two, lane_fleet() as (f, lane):
            instances = [f.add(one, 1), f.add(two, 2)]
            await lane.warm(2)
            moody[0].mood = moody[1].mood = HANG
            async with f.client() as client:
                client.send(get("/x"))
                await until(lambda: sum(m.unanswered for m in moody), "the request does not arrive")
                [connection] = lane.in_flight()
                other = other_number(connection)
                moody[other - 1].mood = ""
                CHANGES[change](f, instances[2 - other])
                response = await client.response()
                assert response.one("X-Msctl-Instance") == f"api-{other}"
                assert response.one("X-Msctl-Attempts") == "2"
            asked = [one, two][2 - other]
            await until(lambda: asked.cut_at or not asked._tasks, "it is not cancelled")
            first, second = ids(asked), ids([one, two][other - 1])
            assert first[:2] == second[:2]
            assert first[2] != second[2]

    run(main(), loop)


def test_a_post_on_a_lost_instance_is_502() -> None:
    moody = Moody()

    async def main() -> None:
        async with Upstream(moody) as one, Upstream(echo) as two, lane_fleet() as (f, lane):
            f.add(one, 1)
            await lane.warm()
            moody.mood = HANG
            async with f.client() as client:
                client.send(post("x"))
                await until(lambda: moody.unanswered, "the request does not arrive")
                assert lane.in_flight()
                f.add(two, 2)
                set_aside(f)
                assert problem(await client.response()) == (502, "upstream_reset")
                assert two.connections == 0

    run(main())


def test_a_loss_between_the_hand_over_and_its_task_is_not_missed() -> None:
    moody = Moody()

    async def main() -> None:
        async with Upstream(moody) as one, Upstream(echo) as two, lane_fleet() as (f, lane):
            f.add(one, 1)
            await lane.warm()
            moody.mood = HANG
            async with f.client() as client:
                client.send(get())
                await until(lambda: moody.unanswered, "the request does not arrive")
                f.add(two, 2)
                [connection] = lane.in_flight()
                connection.look(connection._started + 1)
                set_aside(f)
                assert (await client.response()).one("X-Msctl-Instance") == "api-2"

    run(main())


def test_an_instance_that_has_begun_to_answer_is_not_lost() -> None:
    """As ever: what it does after its head is no more a question of whom to ask."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await go_on.wait()
        peer.send("cd")

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(post("x"))
                await until(
                    lambda: any(c._upstream and c._upstream.buffer for c in lane.in_flight()),
                    "the head does not arrive",
                )
                set_aside(f)
                go_on.set()
                assert (await client.response()).body == b"abcd"

    go_on = asyncio.Event()
    run(main())


def test_what_is_under_way_at_a_draining_instance_ends_well_and_its_connection_is_not_kept() -> (
    None
):
    """Also when the lane has been opened again by then, for those that are left."""

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.line.startswith("GET /slow"):
                await go_on.wait()
            peer.send(ok("done"))

    async def main() -> None:
        async with Upstream(script) as one, Upstream(script) as two, lane_fleet() as (f, lane):
            f.add(one, 1)
            f.add(two, 2)
            await lane.warm(2)
            async with f.client() as slow, f.client() as quick:
                slow.send(get("/slow"))
                await until(lane.in_flight, "the lane is not taken")
                [connection] = lane.in_flight()
                name, other = connection._key[0], other_number(connection)
                f.registry.update(name, 1, status=ServiceStatus.DRAINING)
                f.registry.unregister_service(name)
                quick.send(get())
                assert (await quick.response()).one("X-Msctl-Instance") == f"api-{other}"
                go_on.set()
                assert (await slow.response()).body == b"done"
                assert (lane.taken, lane.done) == (2, 2)
                await until(lambda: "open=1 idle=1" in repr(f), "its connection is kept")

    go_on = asyncio.Event()
    run(main())


def test_a_request_on_a_route_that_is_removed_meanwhile_leaves_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await peer.request()
        await go_on.wait()
        peer.cut()

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            route = route_of(f)
            async with f.client() as client:
                client.send(post("x"))
                await until(lane.in_flight, "the lane is not taken")
                f.router.remove("api")
                go_on.set()
                assert problem(await client.response()) == (502, "upstream_reset")
                assert route.in_flight == 0
                await until(lambda: "open=0" in repr(f), "its connection is left")
            f.router.configure("api", RoutePolicy())

    go_on = asyncio.Event()
    run(main())
