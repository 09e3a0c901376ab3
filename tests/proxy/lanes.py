"""A look at the express lane: which requests took it, and the same fleet without it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from msctl.core.express import ExpressLane
from msctl.core.router import RoutePolicy, ServiceRoute
from msctl.proxy.express import ExpressConnection
from tests.proxy.harness import Fleet, Peer, fleet, get, ok, until
from tests.proxy.scrape import Memory


async def echo(peer: Peer) -> None:
    """Answer every request with its body, in one piece: no kernel holds a part of it back."""
    while True:
        request = await peer.request()
        peer.send(ok(request.body.decode("latin-1")))


HANG, CUT, CUT_ONCE, HALF_HEAD = "hangs", "cuts", "cuts once", "half a head"


class Moody:
    """Answers until it is told to do otherwise."""

    def __init__(self) -> None:
        self.mood = ""
        self.unanswered = 0

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            if self.mood == "":
                peer.send(ok())
                continue
            self.unanswered += 1
            if self.mood == HALF_HEAD:
                peer.send("HTTP/1.1 200 OK\r\nConte")
                await peer.writer.drain()
                await asyncio.sleep(0.02)  # so that it arrives by itself
            if self.mood == HANG:
                await peer.ended()
            if self.mood == CUT_ONCE:
                self.mood = ""
            peer.cut()
            return


@dataclass
class Lane:
    """Counts what the connections ask of a route's lane."""

    fleet: Fleet
    taken: int = 0
    done: int = 0
    adopted: int = 0
    abandoned: int = 0
    log: Memory = field(default_factory=lambda: Memory(enabled=False))

    def connections(self) -> list[ExpressConnection]:
        door = self.fleet.gateway._front_doors["api"]
        return [c for c in door._connections if isinstance(c, ExpressConnection)]

    def in_flight(self) -> list[ExpressConnection]:
        """Clients whose request is on the lane: no task serves them."""
        found = [c for c in self.connections() if c._upstream is not None]
        assert all(c._task is None or c._task.done() for c in found)
        return found

    def tasks(self) -> int:
        """How many tasks serve clients now."""
        names = [getattr(t.get_coro(), "__qualname__", "") for t in asyncio.all_tasks()]
        return names.count("ClientConnection._serve")

    async def warm(self, count: int = 1) -> None:
        """Have `count` connections kept, shared evenly by the instances; then count anew."""
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self.fleet.client()) for _ in range(count)]
            for client in clients:
                client.send(get("/warm"))
            for client in clients:
                await client.response()
        await until(lambda: f"idle={count}" in repr(self.fleet), f"not warm: {self.fleet}")
        await until(lambda: not self.connections(), "the clients stay")
        self.taken = self.done = self.adopted = self.abandoned = 0


def watched(lane: ExpressLane, seen: Lane, name: str, counter: str) -> None:
    """Count in `seen` what is asked of the lane, and let it pass."""
    original: Callable[..., Any] = getattr(lane, name)

    def counted(*args: Any) -> Any:
        result = original(*args)
        if result is not None:
            setattr(seen, counter, getattr(seen, counter) + 1)
        return result

    setattr(lane, name, counted)


def route_of(f: Fleet) -> ServiceRoute:
    route = f.router.route("api")
    assert route is not None
    return route


@contextlib.asynccontextmanager
async def lane_fleet(
    policy: RoutePolicy | None = None, *, express: bool = True
) -> AsyncIterator[tuple[Fleet, Lane]]:
    """Open a fleet whose lane is watched; without it every request is served by a task."""
    log = Memory(enabled=not express)
    async with fleet(policy, access_log=log) as f:
        seen = Lane(f, log=log)
        lane = route_of(f).express
        watched(lane, seen, "take", "taken")
        watched(lane, seen, "done", "done")
        watched(lane, seen, "adopt", "adopted")
        abandon = lane.abandon

        def abandoned(track: Any, now: float) -> None:
            seen.abandoned += 1
            abandon(track, now)

        lane.abandon = abandoned  # type: ignore[method-assign]  # to be seen is the point
        yield f, seen
        await until(lambda: f.connections() == 0, "connections are left")
        assert route_of(f).in_flight == 0
