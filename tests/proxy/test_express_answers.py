"""Answers to requests on the express lane: whatever comes, the client gets what it always got."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msctl.core.outcome import Outcome
from msctl.proxy.meters import Cut, ServiceMeter
from tests.proxy.harness import Fleet, Peer, Upstream, get, ok, post, run, until
from tests.proxy.lanes import lane_fleet, route_of
from tests.proxy.scripts import LOOPS


@dataclass(frozen=True)
class Seen:
    """All that anyone can see of one request, from outside."""

    raw: bytes
    """What the client got, to the end of its connection."""
    codes: dict[int, int]
    attempts: dict[Outcome, int]
    cuts: dict[Cut, int]
    own: dict[int, int]
    unanswered: dict[Cut, int]
    breakers: list[tuple[str, int, int, int]]
    pool: str
    requests: int


def meter_of(f: Fleet) -> ServiceMeter:
    [meter] = [m for m in f.gateway._proxy.meters.copy() if m.service == "api"]
    return meter


async def see(
    request: str, pieces: Sequence[bytes], *, closes: bool, express: bool
) -> tuple[Seen, int]:
    """Have one request answered with these pieces; returns also how often the lane was left."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok("warm"))
        await peer.lines()
        for piece in pieces:
            peer.send(piece)
            await peer.writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)  # so that the other side reads what it has first
        if not closes:
            await peer.ended()

    async with Upstream(script) as upstream, lane_fleet(express=express) as (f, lane):
        f.add(upstream)
        await lane.warm()
        async with f.client() as client:
            client.send(request)
            if "Connection: close" not in request:
                await until(
                    lambda: (lane.done or lane.adopted or not express) and not f.connections(),
                    "the request does not end",
                )
                await asyncio.sleep(0)
                if not client.writer.transport.is_closing():
                    client.send("GET / HTTP/3.0\r\n\r\n")  # whatever comes after it, the end
            raw = await read_all(client)
        await until(lambda: not lane.tasks(), "the task stays")
        assert lane.taken == express
        meter, route = meter_of(f), route_of(f)
        instance = meter.instance("api-1")
        snapshots = [breaker.snapshot(100.0) for breaker in route.breakers()]
        seen = Seen(
            raw=raw,
            codes=dict(instance.codes),
            attempts=dict(instance.attempts),
            cuts=dict(instance.cuts),
            own=dict(meter.own.codes),
            unanswered=dict(meter.unanswered),
            breakers=[
                (s.state, s.failures_in_a_row, s.calls - s.failures, s.failures) for s in snapshots
            ],
            pool=repr(f),
            requests=upstream.connections,
        )
        return seen, lane.adopted


async def read_all(client: Peer) -> bytes:
    raw = b""
    try:
        while data := await asyncio.wait_for(client.reader.read(1 << 20), 5):
            raw += data
    except ConnectionError:
        return b"cut"  # how much came before that is the kernel's choice
    return raw


def compared(request: str, pieces: Sequence[bytes], *, closes: bool = False) -> int:
    """Check that the lane makes no difference; returns how often it was left."""

    async def main() -> int:
        fast, left = await see(request, pieces, closes=closes, express=True)
        plain, _ = await see(request, pieces, closes=closes, express=False)
        assert fast == plain
        return left

    return run(main())


USUAL = {
    "200": ok("hello", "X-A: b", "Date: now"),
    "empty": ok(),
    "201": "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nLocation: /a\r\n\r\nok",
    "204": "HTTP/1.1 204 No Content\r\n\r\n",
    "204 with a length": "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    "302": "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    "304 with a length": "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    "404": "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    "426": "HTTP/1.1 426 Upgrade\r\nUpgrade: h\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
    "no reason": "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "hop by hop": ok("x", "Connection: X-S, keep-alive", "X-S: 1", "Keep-Alive: 5", "Via: 1.1 o"),
    "in the router's name": ok("x", "X-Msctl-Instance: a-9", "X-Msctl-Attempts: 7"),
    "64 KiB": ok("x" * 60_000),
}

UNUSUAL = {
    "500": "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
    "502": "HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno",
    "503": "HTTP/1.1 503 No\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\nno",
    "429": "HTTP/1.1 429 Slow\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\nno",
    "100": "HTTP/1.1 100 Continue\r\n\r\n" + ok("x"),
    "103": "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok("x"),
    "101 that nobody asked for": "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
    "two answers": ok("one") + ok("two"),
    "a byte too many": ok("one") + "x",
    "HTTP/1.0": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "to be closed": ok("x", "Connection: close"),
    "events": ok("data: 1\n\n", "Content-Type: text/event-stream"),
    "a long body": ok("x" * 200_000),
    "a long head": ok("x", "X: " + "y" * 20_000),
    "a head that is too long": ok("x", "X: " + "y" * 70_000),
    "an empty line first": "\r\n" + ok("x"),
    "not HTTP": "hello\r\n\r\n",
    "HTTP/2": "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "both framings": ok("x", "Transfer-Encoding: chunked"),
    "a folded field": ok("x", "X: a", " b"),
    "a bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "a malformed chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}

CLOSED = {
    "until close": "HTTP/1.1 200 OK\r\n\r\nhello",
    "before the first byte": "",
    "within the head": "HTTP/1.1 200 OK\r\nContent-Le",
    "after the head": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    "within the body": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "right after the body": ok("hello"),
    "within a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
}


@pytest.mark.parametrize("answer", USUAL.values(), ids=USUAL.keys())
@pytest.mark.parametrize("request_", [get(), post("x", "Connection: close")])
def test_a_usual_answer_never_leaves_the_lane(answer: str, request_: str) -> None:
    assert compared(request_, [answer.encode()]) == 0


@pytest.mark.parametrize("answer", UNUSUAL.values(), ids=UNUSUAL.keys())
@pytest.mark.parametrize("request_", [get(), post("x")], ids=["GET", "POST"])
def test_an_unusual_answer_is_handed_over_and_treated_as_ever(answer: str, request_: str) -> None:
    assert compared(request_, [answer.encode()]) == 1


@pytest.mark.parametrize("answer", CLOSED.values(), ids=CLOSED.keys())
def test_a_connection_that_the_instance_closes_is_treated_as_ever(answer: str) -> None:
    compared(post("x"), [answer.encode()] if answer else [], closes=True)


PIECES = st.sampled_from([*USUAL.values(), *UNUSUAL.values()]).flatmap(
    lambda answer: st.tuples(
        st.just(answer.encode()),
        st.lists(st.integers(1, min(len(answer), 300)), min_size=1, max_size=5, unique=True),
    )
)


@settings(max_examples=25, deadline=None)
@given(PIECES)
def test_an_answer_in_pieces_of_any_size_is_the_same_answer(
    case: tuple[bytes, list[int]],
) -> None:
    answer, cuts = case
    ends = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    compared(get(), [answer[a:b] for a, b in pairwise(ends)])


@LOOPS
def test_a_head_is_not_kept_back_until_its_body_has_come(loop: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(ok("warm"))
        await peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await go_on.wait()
        peer.send("world")
        await peer.ended()

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                client.send(post("x"))
                head = await asyncio.wait_for(client.head(), 0.7)
                assert head.status == 200
                assert await client.reader.readexactly(5) == b"hello"
                go_on.set()
                assert await client.reader.readexactly(5) == b"world"
            assert (lane.taken, lane.done, lane.adopted) == (1, 0, 1)
            assert f.slow == []

    go_on = asyncio.Event()
    run(main(), loop)


def test_what_a_process_says_is_not_remembered_without_bound() -> None:
    async def script(peer: Peer) -> None:
        number = 0
        while True:
            await peer.request()
            number += 1
            peer.send(ok("x", f"ETag: {number}", "X: " + "y" * (5000 if number % 100 == 0 else 1)))

    async def main() -> None:
        async with Upstream(script) as upstream, lane_fleet() as (f, lane):
            f.add(upstream)
            await lane.warm()
            async with f.client() as client:
                for _ in range(600):
                    client.send(get())
                    assert (await client.response()).body == b"x"
            [track] = route_of(f).express._tracks
            assert lane.done > 500
            assert len(track.notes) <= 512
            assert max(map(len, track.notes)) < 4096

    run(main())
