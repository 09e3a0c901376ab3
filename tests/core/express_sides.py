"""The same calls twice: once by `Call` alone, once over the express lane wherever it is open."""

from dataclasses import dataclass

from msctl.core.decision import Again, Refusal, Relay, Wait
from msctl.core.express import Track
from msctl.core.router import Call, CallFacts, Lease, Outcome, RoutePolicy
from tests.core.routes import World

Step = tuple[str, int] | Refusal | Wait | None
"""Where a call is now: at a process, refused, waiting, or over."""


@dataclass(eq=False)
class Trip:
    """One call of one side, whichever way it goes."""

    facts: CallFacts
    started: float
    call: Call | None = None
    lease: Lease | None = None
    track: Track | None = None
    generation: int = 0
    wait: Wait | None = None
    woken: bool = False

    def wake(self) -> None:
        self.woken = True


class Side:
    """A world in which calls are made, and how they are made there."""

    def __init__(self, policy: RoutePolicy, *, express: bool) -> None:
        self.world = World(3, policy)
        self.express = express
        self.taken = 0
        """Calls that went over the lane."""

    def begin(self, trip: Trip, *, connected: bool = True) -> Step:
        """Begin a call; without a connection at hand the lane hands it over at once."""
        lane = self.world.route.express
        if self.express:
            track = lane.take(self.world.now)
            if track is not None:
                self.taken += 1
                trip.track, trip.generation = track, lane.generation
                if not connected:
                    self.hand_over(trip)
                return track.member.key
        call = self.world.route.begin(trip.facts, self.world.now)
        if isinstance(call, Refusal):
            return call
        trip.call = call
        call.wake = trip.wake
        return self.pick(trip)

    def pick(self, trip: Trip) -> Step:
        assert trip.call is not None
        trip.woken = False
        picked = trip.call.pick(self.world.now)
        trip.wait = picked if isinstance(picked, Wait) else None
        if isinstance(picked, Lease):
            trip.lease = picked
            return picked.instance.id, picked.instance.generation
        return picked

    def answer(
        self, trip: Trip, status: int, *, hand_over: bool, replay: bool, breaks_off: bool
    ) -> Step:
        """End an attempt with this status; every call makes its next attempt at once."""
        now = self.world.now
        if trip.track is not None:
            if not hand_over and status < 500 and status != 429 and not breaks_off:
                lane, track = self.world.route.express, trip.track
                trip.track = None
                lane.done(track, trip.generation, status, trip.started, now)
                return None
            self.hand_over(trip)
        assert trip.call is not None
        assert trip.lease is not None
        step = trip.call.answered(trip.lease, status, 2.0, now, can_replay=replay)
        if isinstance(step, Again):
            return self.pick(trip)
        assert isinstance(step, Relay)
        if breaks_off:
            trip.call.broken(trip.lease, now)
        trip.lease.release(now)
        trip.call.finish(now)
        return None

    def fail(self, trip: Trip, outcome: Outcome, *, replay: bool) -> Step:
        self.hand_over(trip)
        assert trip.call is not None
        assert trip.lease is not None
        step = trip.call.failed(trip.lease, outcome, self.world.now, can_replay=replay)
        return self.pick(trip) if isinstance(step, Again) else step

    def leave(self, trip: Trip) -> None:
        """Go away, as a client does that waits no longer."""
        if trip.track is not None:
            self.world.route.express.abandon(trip.track, self.world.now)
            trip.track = None
        elif trip.call is not None:
            trip.call.finish(self.world.now)

    def hand_over(self, trip: Trip) -> None:
        if trip.track is None:
            return
        trip.call, trip.lease = self.world.route.express.adopt(
            trip.track, trip.generation, trip.facts, trip.started
        )
        trip.track, trip.call.wake = None, trip.wake

    def state(self) -> dict[str, object]:
        """Everything that anyone can see or that decides a later call."""
        world, route, parts = self.world, self.world.route, self.world.route._parts
        members = parts.rotation.members()
        return {
            "breakers": [breaker.snapshot(world.now) for breaker in route.breakers()],
            "budget": parts.budget.balance(world.now),
            "counts": parts.budget._counts.totals(world.now),
            "in flight": (route.in_flight, route.queued, parts.bulkhead.free),
            "loads": [(m.key, m.load.connections, m.load.limited, m.aside_until) for m in members],
            "speeds": [m.load.latency(world.now) for m in members if not parts.balancer.in_turns],
            "joined": [(m.key, m.load.joined_at) for m in members],
            "waiting": len(parts.waiting._waiters),
        }
