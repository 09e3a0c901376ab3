"""How clients, connections and doors end that have no task."""

import asyncio
import random

import pytest

from msctl.core.router import RoutePolicy
from msctl.proxy import connection
from msctl.proxy.meters import Cut
from tests.proxy.harness import Fleet, Peer, Upstream, get, ok, post, run, until
from tests.proxy.lanes import Lane, echo, lane_fleet, route_of
from tests.proxy.scripts import LOOPS, set_aside


class Held:
    """Answers the first request, then holds the others until it is let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            if "/warm" not in request.line:
                waiting = asyncio.ensure_future(self.go_on.wait())
                gone = asyncio.ensure_future(peer.reader.read(1))
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    raise ConnectionError
                gone.cancel()
                await asyncio.wait({gone})
            peer.send(ok("done"))


async def leave(f: Fleet, lane: Lane, upstream: Upstream) -> float:
    """Go away with a request on the lane; returns the seconds until its instance knows."""
    await lane.warm()
    upstream.cut_at = None
    async with f.client() as client:
        client.send(post("x"))
        await until(lane.in_flight, "the lane is not taken")
    left = asyncio.get_running_loop().time()
    await until(lambda: upstream.cut_at, "the instance is not cancelled")
    assert (lane.abandoned, lane.adopted, lane.done) == (1, 0, 0)
    return (upstream.cut_at or 0.0) - left


@LOOPS
def test_a_client_that_goes_away_cancels_its_instance_within_100_ms(loop: str) -> None:
    async def main() -> None:
        async with Upstream(Held()) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            # The best of some: a busy machine may be late now and then, a wrong proxy always.
            assert min([await leave(f, lane, upstream) for _ in range(4)]) < 0.1
            assert (f.connections(), route_of(f).in_flight) == (0, 0)
            [meter] = [m for m in f.gateway._proxy.meters.copy() if m.service == "api"]
            assert meter.unanswered == {Cut.CLIENT_GONE: 4}
            assert meter.instance("api-1").codes == {200: 4}
            snapshot = route_of(f).instance_breaker("api-1").snapshot(0.0)
            assert (snapshot.state, snapshot.failures) == ("closed", 0)

    run(main(), loop)


@LOOPS
@pytest.mark.parametrize("how", ["reset", "half-close"])
def test_every_way_to_leave_is_noticed(how: str, loop: str) -> None:
    async def main() -> None:
        async with Upstream(Held()) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(get())
                await until(lane.in_flight, "the lane is not taken")
                if how == "reset":
                    client.reset()
                else:
                    client.writer.write_eof()
                await until(lambda: upstream.cut_at, "the instance is not cancelled")
                assert await client.ended()
            await until(lambda: not lane.connections(), "its connection stays")
            assert lane.abandoned == 1

    run(main(), loop)


@LOOPS
def test_a_client_that_leaves_with_more_requests_under_way_than_are_read_is_noticed(
    loop: str,
) -> None:
    """Its input is not read to the end, where the close would be found."""

    async def main() -> None:
        async with Upstream(Held()) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(get())
                await until(lane.in_flight, "the lane is not taken")
                client.send(get("/more") * 30_000)
                await until(lambda: not lane.connections()[0]._reading, "everything is read")
                client.reset()
                await until(lambda: upstream.cut_at, "the instance is not cancelled")
                await until(lambda: not lane.connections(), "its connection stays")

    run(main(), loop)


def test_a_request_under_way_is_the_last_of_a_door_that_closes() -> None:
    held = Held()

    async def main() -> None:
        async with Upstream(held) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as rests, f.client() as busy:
                busy.send(get())
                await until(lane.in_flight, "the lane is not taken")
                closing = asyncio.create_task(f.gateway.close_front_door("api", drain_timeout=5))
                assert await rests.ended()
                assert not closing.done()
                busy.send(get("/more"))
                held.go_on.set()
                response = await busy.response()
                assert response.body == b"done"
                assert response.one("Connection") == "close"
                assert await busy.ended()
                await closing
            assert len(upstream.requests) == 2

    run(main())


@LOOPS
def test_what_does_not_end_in_the_drain_time_is_cut(loop: str) -> None:
    async def main() -> None:
        async with Upstream(Held()) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as busy:
                busy.send(get())
                await until(lane.in_flight, "the lane is not taken")
                await f.gateway.close_front_door("api", drain_timeout=0)
                assert (f.connections(), route_of(f).in_flight) == (0, 0)
                await until(lambda: upstream.cut_at, "the instance is not cancelled")
                assert await busy.ended()
            [meter] = [m for m in f.gateway._proxy.meters.copy() if m.service == "api"]
            assert meter.unanswered == {Cut.STOPPED: 1}

    run(main(), loop)


def test_a_loss_is_heard_behind_a_door_that_is_closing() -> None:
    async def main() -> None:
        async with Upstream(Held()) as one, Upstream(echo) as two, lane_fleet() as (f, lane):
            f.add(one, 1)
            await lane.warm()
            async with f.client() as client:
                client.send(get())
                await until(lane.in_flight, "the lane is not taken")
                f.add(two, 2)
                closing = asyncio.create_task(f.gateway.close_front_door("api", drain_timeout=5))
                await until(lambda: "api" not in f.gateway._front_doors, "it does not close")
                set_aside(f)
                assert (await client.response()).one("X-Msctl-Instance") == "api-2"
                await closing

    run(main())


def test_a_cut_right_after_a_hand_over_leaves_nothing() -> None:
    async def main() -> None:
        async with Upstream(Held()) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(get())
                await until(lane.in_flight, "the lane is not taken")
                [served] = lane.in_flight()
                served.look(served._started + 1)
                assert (f.connections(), route_of(f).in_flight) == (1, 1)
                await served.cut()
                assert (f.connections(), route_of(f).in_flight) == (0, 0)
                assert await client.ended()
            assert not lane.connections()

    run(main())


@LOOPS
@pytest.mark.parametrize("requests", [0, 1])
def test_a_connection_at_rest_is_closed_after_a_time(
    requests: int, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            monkeypatch.setattr(connection, "KEEP_ALIVE", 0.3)
            async with f.client() as client:
                for _ in range(requests):
                    client.send(get())
                    await client.response()
                assert lane.tasks() == 0
                assert await client.ended()
            assert lane.done == requests

    run(main(), loop)


def test_a_client_that_does_not_read_its_answers_is_held_back() -> None:
    body = "x" * 60_000

    async def main() -> None:
        async with Upstream(echo) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # reads too
                await until(lane.connections, "the client does not arrive")
                [served] = lane.connections()
                sent = 0
                while served._writable and sent < 300:
                    upstream.requests.clear()
                    client.send(post(body))
                    sent += 1
                    await until(lambda: upstream.requests, "it does not arrive")
                    await until(lambda: not f.connections(), "it is not answered")
                assert not served._writable
                client.send(get())
                await until(lambda: lane.tasks() == 1, "nobody waits for the client")
                client.writer.transport.resume_reading()  # type: ignore[attr-defined]
                for _ in range(sent):
                    assert (await client.response()).body == body.encode()
                assert (await client.response()).status == 200
                await until(lambda: lane.tasks() == 0, "the task stays")

    run(main())


class Chaos:
    """Does one of many things with each request."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            number = self.chance.randrange(100)
            if number < 80:
                peer.send(ok("fine"))
            elif number < 84:
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n")
                await peer.writer.drain()
                await asyncio.sleep(0)
                peer.send("0\r\n\r\n")
            elif number < 88:
                peer.send("HTTP/1.1 200 OK\r\nContent-Le")
                await peer.writer.drain()
                await asyncio.sleep(0)
                peer.send("ngth: 4\r\n\r\nfine")
            elif number < 90:
                peer.send("HTTP/1.1 200 OK\r\n\r\nfine")
                return
            elif number < 92:
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfin")
                return
            elif number < 94:
                peer.cut()
                return
            elif number < 96:
                peer.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            elif number < 97:
                peer.send("nonsense\r\n\r\n")
            else:
                await asyncio.sleep(0.02)  # out of step with the others
                peer.send(ok("fine"))


async def ask_again_and_again(f: Fleet, count: int, seed: int) -> tuple[int, int]:
    """Make requests, over a new connection after each that broke; returns answers and breaks."""
    chance, answered, broken = random.Random(seed), 0, 0
    while answered + broken < count:
        async with f.client() as client:
            while answered + broken < count:
                client.send(get() if chance.random() < 0.7 else post("abc"))
                if chance.random() < 0.02:
                    client.reset()
                    broken += 1
                    break
                try:
                    response = await client.response()
                except (ConnectionError, asyncio.IncompleteReadError):
                    broken += 1
                    break
                if response.status == 200:
                    assert response.body == b"fine"
                answered += 1
                if response.all("Connection") == ["close"]:
                    break
    return answered, broken


@LOOPS
def test_1000_requests_on_instances_that_do_anything_leave_nothing(loop: str) -> None:
    async def main() -> None:
        policy = RoutePolicy(breaker=None, timeout=5)
        async with (
            Upstream(Chaos(1)) as one,
            Upstream(Chaos(2)) as two,
            Upstream(Chaos(3)) as three,
            lane_fleet(policy) as (f, lane),
        ):
            for number, upstream in enumerate((one, two, three), 1):
                f.add(upstream, number)
            results = await asyncio.gather(*(ask_again_and_again(f, 50, n) for n in range(20)))
            assert sum(a + b for a, b in results) == 1000
            await until(lambda: not lane.connections(), "connections of clients stay")
            assert lane.done > 200
            assert lane.adopted > 100
            assert lane.tasks() == 0
            await until(lambda: f.connections() == 0, "connections are counted still")
            assert (route_of(f).in_flight, route_of(f).queued) == (0, 0)
            [meter] = [m for m in f.gateway._proxy.meters.copy() if m.service == "api"]
            answers = sum(sum(m.codes.values()) for m in meter.by_instance.values())
            answers += sum(meter.own.codes.values())
            assert answers + sum(meter.unanswered.values()) == 1000

    run(main(), loop)
