"""The express lane: calls on a service where all is well, at the cost of a few additions.

While every instance in rotation is healthy and every breaker closed, a call needs no
decision but the balancer's, and its good end changes nothing but counts. The lane does
exactly what `Call` would do then, no more: it counts in the same windows, keeps the same
turns and holds the same places. Whatever is out of the ordinary, before a call or within
it, is `Call`'s, which takes a call over that has begun here (`adopt`).
"""

from collections.abc import Callable, Sequence
from math import inf

from msctl.core.balancer_choosers import Cycle
from msctl.core.breaker import CircuitBreaker
from msctl.core.breaker_permit import Permit
from msctl.core.breaker_window import Bucket
from msctl.core.call import Call
from msctl.core.decision import CallFacts
from msctl.core.lease import Lease
from msctl.core.member import Member
from msctl.core.outcome import Verdict, rule_for_status
from msctl.core.route_parts import RouteParts
from msctl.model import BreakerState, ServiceInstance

LOOK_AGAIN = 0.1
"""Seconds after which a closed lane is looked at again, when no event told of a change."""

_CLIENT_ERROR = 400


class Track:
    """One process on the lane, with its counts at hand."""

    __slots__ = (
        "breaker",
        "bucket",
        "gate",
        "generation",
        "history",
        "instance",
        "load",
        "member",
        "notes",
        "parts",
    )

    def __init__(self, member: Member, parts: RouteParts, now: float) -> None:
        self.member = member
        self.breaker = member.breaker
        self.parts = parts
        """What a call that begins now is treated by, whatever is configured meanwhile."""
        self.gate: CircuitBreaker = parts.gate.breaker
        """The breaker of the service."""
        self.instance: ServiceInstance = member.instance
        self.load = member.load
        self.generation = member.breaker.generation
        """That of its breaker: the verdict on a call from an older one does not count."""
        self.history = member.breaker.history
        self.bucket: Bucket | None = self.history.bucket(now)
        """The counts under way; None once it has left the lane."""
        self.notes: dict[bytes, object] = {}
        """For whoever relays: what it has found out about this process's answers."""

    def is_current(self, parts: RouteParts) -> bool:
        """Whether it is what a new one would be; its cycle knows it by the weight it has here."""
        breaker = self.member.breaker
        return (
            parts is self.parts
            and breaker is self.breaker
            and breaker.generation == self.generation
            and self.member.instance.weight == self.instance.weight
        )

    def retire(self) -> None:
        """Have what is still under way judged by the breakers themselves."""
        self.bucket = None


class ExpressLane:
    """The lane of one route. Not thread-safe: it belongs to one loop.

    Every `take` is followed by one of `done`, `abandon` and `adopt`.
    """

    def __init__(self, parts: Callable[[], RouteParts]) -> None:
        self._parts_now = parts
        self._parts = parts()
        self.generation = 0
        """That of the service's breaker, as a call has to remember it."""
        self.timeout = self._parts.policy.timeout
        """Of a call, in seconds."""
        self._tracks: list[Track] = []
        self._cycle: Cycle[Track] | None = None
        self._changed = True
        self._open_until = -inf
        self._closed_until = -inf
        self._bulkhead = self._parts.bulkhead
        self._history = self._parts.gate.breaker.history
        self._bucket = self._history.bucket(0.0)
        self._deposits = self._parts.budget.bucket(0.0)

    def close(self) -> None:
        """Take no call until everything has been looked at again: something has changed."""
        self._open_until = self._closed_until = -inf
        self._changed = True

    def take(self, now: float) -> Track | None:
        """Choose an instance and count the call; None: it is one for `Call`."""
        bulkhead = self._bulkhead
        if bulkhead.free <= 0:
            return None
        cycle = self._cycle
        if now >= self._open_until or (cycle is not None and cycle.stale):
            if not self._try_to_open(now):
                return None
            cycle = self._cycle
        if cycle is None:
            track = self._parts.balancer.choose(self._tracks, now)
            assert track is not None, "an open lane has somebody"
        else:
            order, position = cycle.order, cycle.position
            track = order[position]
            position += 1
            cycle.position = position if position < len(order) else 0
        load = track.load
        load.connections += 1
        load.limited += 1
        bulkhead.free -= 1
        self._deposits.events += 1
        return track

    def done(self, track: Track, generation: int, status: int, started: float, now: float) -> bool:
        """Count a good end: any status below 500 but 429; True while all is well.

        `generation` is the lane's at the time of `take`.
        """
        load = track.load
        load.connections -= 1
        load.limited -= 1
        self._bulkhead.leave_express()
        bucket = track.bucket
        if bucket is None or now >= self._open_until or generation != self.generation:
            self._done_late(track, generation, status, started, now)
            return False
        bucket.events += 1
        self._bucket.events += 1
        if status < _CLIENT_ERROR:
            track.history.run = self._history.run = 0
        if self._cycle is None:
            load.observe(now - started, now)
        return True

    def abandon(self, track: Track, now: float) -> None:
        """Count nothing: the caller went away."""
        load = track.load
        load.connections -= 1
        load.limited -= 1
        self._bulkhead.leave_express()
        self._parts_now().waiting.serve(now)

    def adopt(
        self, track: Track, generation: int, facts: CallFacts, started: float
    ) -> tuple[Call, Lease]:
        """Hand a call that is under way over to where everything can be dealt with."""
        track.load.connections -= 1
        track.load.limited -= 1
        call = Call(track.parts, facts, started)
        lease = call.resume(
            track.member,
            Permit(track.breaker, track.generation, None),
            Permit(track.gate, generation, None),
            started,
        )
        return call, lease

    def _done_late(
        self, track: Track, generation: int, status: int, started: float, now: float
    ) -> None:
        """Count what ends after the lane has changed, by way of the breakers themselves."""
        verdict: Verdict = rule_for_status(status).verdict
        Permit(track.breaker, track.generation, None).release(verdict, now)
        Permit(track.gate, generation, None).release(verdict, now)
        track.load.observe(now - started, now)
        # Somebody may wait for room by now: a limit closes the lane, but ends no call on it.
        self._parts_now().waiting.serve(now)

    def _try_to_open(self, now: float) -> bool:
        if now < self._closed_until:
            return False
        parts = self._parts = self._parts_now()
        breaker = parts.gate.breaker
        closed = breaker.last_state is BreakerState.CLOSED
        members = parts.rotation.undisturbed(now) if closed else None
        if members is None:
            self._open_until, self._closed_until = -inf, now + LOOK_AGAIN
            return False
        if self._changed or self._cycle is None or self._cycle.stale:
            self._line_up(members, now)
        if self._cycle is None and parts.balancer.in_turns:
            self._open_until = -inf  # the next few calls settle whose turns they are
            return False
        self._renew(now)
        return True

    def _line_up(self, members: Sequence[Member], now: float) -> None:
        parts, before = self._parts, self._tracks
        known = {track.member: track for track in before if track.is_current(parts)}
        self._tracks = [known.get(member) or Track(member, parts, now) for member in members]
        for track in set(before).difference(self._tracks):
            track.retire()
        self._cycle = self._parts.balancer.cycle(self._tracks, now)
        self._changed = False

    def _renew(self, now: float) -> None:
        """Take the counts under way at hand, all of them good until the first one turns."""
        parts = self._parts
        self._history = parts.gate.breaker.history
        self.generation = parts.gate.breaker.generation
        self.timeout = parts.policy.timeout
        self._bucket = self._history.bucket(now)
        self._deposits = parts.budget.bucket(now)
        turns = [self._history.turns_at(now), parts.budget.turns_at(now)]
        for track in self._tracks:
            track.instance = track.member.instance
            track.bucket = track.history.bucket(now)
            turns.append(track.history.turns_at(now))
        self._open_until = min(turns)
