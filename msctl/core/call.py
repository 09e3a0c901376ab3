"""One call: which instance next, what its answer counts, and whether to try again.

Every method is one synchronous step; the proxy does what it is told and reports back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from msctl.core import refusals
from msctl.core.breaker_permit import Permit
from msctl.core.bulkhead import Entry
from msctl.core.decision import Again, Ask, CallFacts, Refusal, Relay, Wait
from msctl.core.lease import Lease
from msctl.core.member import Member
from msctl.core.outcome import FAILURE_RULES, Outcome, Reason, Repeat, Verdict, rule_for_status
from msctl.core.retries import Retries
from msctl.core.rotation import Shortage
from msctl.core.route_parts import RouteParts

VERDICT_PATIENCE = 0.25
"""Seconds that it waits to hear what became of the instance that broke its connection: a
dead process is noticed in milliseconds, and its successor is one that is starting."""

PROBE_GRACE = 1.0
"""Seconds beyond the call's own time until a probe counts as failed (router.md, Breaker 2)."""

_BROKE_CONNECTION = frozenset({Outcome.NOT_SENT, Outcome.RESET, Outcome.LOST})


@dataclass(frozen=True, slots=True)
class _Attempt:
    member: Member
    permit: Permit
    started: float


class Call:
    """One call on its way through a route, from `ServiceRoute.begin` to `finish`.

    pick → (answered | failed) → pick … → Relay or a Refusal → [broken] → finish. A Refusal
    ends the call; `finish` belongs in a `finally` all the same.
    """

    def __init__(self, parts: RouteParts, facts: CallFacts, now: float) -> None:
        self.timeout = parts.policy.timeout if facts.timeout is None else facts.timeout
        self.deadline = now + self.timeout
        """Monotonic seconds at which the response's head has to be there."""
        self.attempts = 0
        """Instances that were tried, stale connections not counted."""
        self.wake: Callable[[], None] | None = None
        """Set by who waits: called when it is worth picking again before `Wait.until`."""
        self._parts = parts
        self._ask = Ask(
            idempotent=facts.idempotent,
            instance=facts.instance,
            counted=facts.counts_against_limits,
        )
        self._attempts: dict[Lease, _Attempt] = {}
        self._permit: Permit | None = None
        self._granted: Lease | None = None
        self._retries = Retries(parts, self.deadline)
        self._fresh = False
        self._short_since: float | None = None
        self._last: tuple[Refusal, Verdict] | None = None
        self._finished = False

    @property
    def unconstrained(self) -> bool:
        """Whether it accepts whatever any other call would accept."""
        return self._ask.unconstrained

    def enter(self, now: float) -> Wait | Refusal | None:
        """Pass the bulkhead and the service's breaker; None when inside."""
        if self._permit is not None:
            return None
        parts = self._parts
        if self.timeout <= 0:
            return self._refuse(refusals.spent_deadline(parts.name, self.timeout), now)
        if self._ask.counted:
            entry = parts.bulkhead.enter(self, waiting_elsewhere=parts.waiting.queued())
            if entry is Entry.QUEUED:
                return Wait(self.deadline)
            if entry is Entry.FULL:
                return self._refuse(refusals.full_queue(parts.name), now)
        self._permit = parts.gate.try_acquire(now, self.deadline - now + PROBE_GRACE)
        if self._permit is None:
            breaker = parts.gate.breaker
            return self._refuse(refusals.open_breaker(parts.name, (breaker,), now), now)
        return None

    def resume(
        self, member: Member, permit: Permit, service_permit: Permit, started: float
    ) -> Lease:
        """Go on with a call that began on the express lane, where it has its first attempt."""
        self._permit = service_permit
        self._parts.bulkhead.move_in(self)
        return self._start(member, permit, started)

    def pick(self, now: float) -> Lease | Wait | Refusal:
        """Choose an instance and count the connection, or say what to do instead."""
        if self._finished:
            raise RuntimeError("this call is over")
        if now >= self.deadline:
            return self._give_up(refusals.spent_deadline(self._parts.name, self.timeout), now)
        if (outside := self.enter(now)) is not None:
            return outside
        self._parts.waiting.serve(now)  # whoever has waited longer comes first
        lease, self._granted = self._granted, None
        if lease is None:
            lease = self._take(now)
        if lease is not None:
            self._parts.waiting.remove(self)
            return lease
        return self._without_instance(now)

    def answered(
        self,
        lease: Lease,
        status: int,
        retry_after: float | None,
        now: float,
        *,
        can_replay: bool,
    ) -> Relay | Again:
        """Judge a response by its head: relay it, or drop it (the lease is given back).

        `retry_after` is the response's own, in seconds. `can_replay`: the body can be sent
        again and nothing was relayed. Another try is made only if there is somebody to try:
        a real answer is better than none.
        """
        attempt = self._attempts[lease]
        rule = rule_for_status(status)
        verdict = self._settle(attempt, rule.verdict, now)
        if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None:
            self._parts.rotation.set_aside(attempt.member, retry_after, now)
        if rule.repeat is not Repeat.NEVER and self._somebody_left(now):
            again = self._try_again(rule.repeat, now, can_replay=can_replay)
            if again is not None:
                self._last = refusals.exhausted(status, lease.instance.id), verdict
                lease.release(now)
                return again
        self._conclude(verdict, now)
        return Relay()

    def failed(
        self, lease: Lease, outcome: Outcome, now: float, *, can_replay: bool
    ) -> Again | Refusal:
        """Judge an attempt that brought no response; its lease is given back.

        `can_replay`: the body can be sent again and nothing was relayed. What was never
        sent leaves the body as it was, so there it is true.
        """
        if outcome is Outcome.STALE_CONNECTION and lease.fresh:
            outcome = Outcome.RESET  # only once is a closed connection nobody's fault
        attempt, rule = self._attempts[lease], FAILURE_RULES[outcome]
        verdict = self._settle(attempt, rule.verdict, now, outcome)
        if outcome in _BROKE_CONNECTION:
            self._ask.lost.add(attempt.member.key)
        self._last = refusals.failed_attempt(rule, lease.instance.id), verdict
        lease.release(now)
        if rule.repeat is Repeat.FRESH:
            again = self._try_fresh(attempt, can_replay=can_replay)
        else:
            again = self._try_again(rule.repeat, now, can_replay=can_replay)
        return again or self._give_up(self._last[0], now)

    def broken(self, lease: Lease, now: float) -> None:
        """Count that a response broke off after its head was judged: one more failure."""
        attempt = self._attempts[lease]
        if attempt.member.leaving:
            return
        attempt.permit.broken(now)
        attempt.member.load.penalise(now)
        if self._permit is not None:
            self._permit.broken(now)
        self._parts.gate.instance_failed(now)

    def exempt(self, now: float) -> None:
        """Stop counting it against the limits: it turned out to be a tunnel or a stream."""
        self._ask.counted = False
        for lease in self._attempts:
            lease.exempt()
        self._parts.bulkhead.leave(self)
        self._parts.waiting.serve(now)

    def grant(self, now: float) -> bool:
        """Take an instance ahead of the next `pick`, which returns it."""
        if self._granted is None:
            self._granted = self._take(now)
        return self._granted is not None

    def finish(self, now: float) -> None:
        """Give everything back that the call still has; what is unjudged counts nothing."""
        if self._finished:
            return
        self._finished = True
        self._parts.waiting.remove(self)
        for lease, attempt in tuple(self._attempts.items()):
            attempt.permit.release(Verdict.ABANDONED, now)
            lease.release(now)
        self._conclude(Verdict.ABANDONED, now)
        self._parts.bulkhead.leave(self)

    def __repr__(self) -> str:
        state = "finished" if self._finished else f"until {self.deadline:g}"
        return f"<Call {self._parts.name} attempts {self.attempts} {state}>"

    def _take(self, now: float) -> Lease | None:
        rotation = self._parts.rotation
        ready = rotation.candidates(self._ask, now)
        return self._lease_one(rotation.with_room(ready, self._ask), now)

    def _lease_one(self, members: Sequence[Member], now: float) -> Lease | None:
        parts = self._parts
        while (member := parts.balancer.choose(members, now)) is not None:
            permit = member.breaker.try_acquire(now, limit=self.deadline - now + PROBE_GRACE)
            if permit is not None:
                return self._start(member, permit, now)
            members = [m for m in members if m is not member]
        return None

    def _start(self, member: Member, permit: Permit, now: float) -> Lease:
        lease = Lease(
            member.instance,
            member.load,
            self._given_back,
            fresh=self._fresh,
            counted=self._ask.counted,
        )
        self._attempts[lease] = _Attempt(member, permit, now)
        self._ask.tried.add(member.key)
        self.attempts += 1
        self._short_since = None
        return lease

    def _given_back(self, _lease: Lease, now: float) -> None:
        self._parts.waiting.serve(now)

    def _without_instance(self, now: float) -> Lease | Wait | Refusal:
        parts = self._parts
        shortage = parts.rotation.shortage(self._ask, now)
        if shortage.absent:
            promised = parts.summon()
            shortage = parts.rotation.shortage(self._ask, now)
            if promised and self._ask.instance is None:
                shortage = replace(shortage, starting=True)
        if shortage.full:
            return self._wait_for_room(shortage, now)
        if (until := self._patience(shortage, now)) > now:
            parts.waiting.add(self, for_room=False)
            return Wait(self._earliest(until, shortage.changes_at))
        parts.waiting.remove(self)
        unhealthy = parts.rotation.last_resort(self._ask, now)
        lease = self._lease_one(parts.rotation.with_room(unhealthy, self._ask), now)
        if lease is not None:
            return lease
        wanted = self._ask.instance
        return self._give_up(refusals.nothing_there(parts.name, wanted, shortage, now), now)

    def _wait_for_room(self, shortage: Shortage, now: float) -> Wait | Refusal:
        parts = self._parts
        queued = parts.waiting.queued() + parts.bulkhead.queued
        if self not in parts.waiting and queued >= parts.bulkhead.queue:
            return self._give_up(refusals.full_queue(parts.name), now)
        parts.waiting.add(self, for_room=True)
        return Wait(self._earliest(self.deadline, shortage.changes_at))

    def _patience(self, shortage: Shortage, now: float) -> float:
        if self._short_since is None:
            self._short_since = now
        if shortage.starting:
            return self._short_since + self._parts.policy.start_patience
        return self._short_since + VERDICT_PATIENCE if shortage.undecided else now

    def _earliest(self, until: float, changes_at: float | None) -> float:
        return min(until, self.deadline, until if changes_at is None else changes_at)

    def _settle(
        self,
        attempt: _Attempt,
        verdict: Verdict,
        now: float,
        outcome: Outcome = Outcome.ANSWERED,
    ) -> Verdict:
        member = attempt.member
        if verdict is Verdict.FAILURE and member.leaving:
            verdict = Verdict.ABANDONED  # our own doing (router.md, Breaker 7)
        if verdict is Verdict.FAILURE and outcome is Outcome.NOT_SENT:
            attempt.permit.unreachable(now)
        attempt.permit.release(verdict, now, lost=outcome is Outcome.LOST)
        if verdict is not Verdict.ABANDONED:
            failed = verdict is Verdict.FAILURE
            member.load.observe(now - attempt.started, now, failed=failed)
            if failed:
                member.load.penalise(now)
                self._parts.gate.instance_failed(now)
        return verdict

    def _somebody_left(self, now: float) -> bool:
        rotation = self._parts.rotation
        return bool(rotation.with_room(rotation.candidates(self._ask, now), self._ask))

    def _try_again(self, repeat: Repeat, now: float, *, can_replay: bool) -> Again | None:
        if not can_replay or self._ask.instance is not None:
            return None
        delay = self._retries.next_delay(
            repeat, now, attempts=self.attempts, idempotent=self._ask.idempotent
        )
        return None if delay is None else Again(delay)

    def _try_fresh(self, attempt: _Attempt, *, can_replay: bool) -> Again | None:
        if not can_replay or not self._ask.idempotent:
            return None
        # The instance did nothing wrong, so it counts as not tried.
        self._fresh = True
        self._ask.tried.discard(attempt.member.key)
        self.attempts -= 1
        return Again(0.0)

    def _give_up(self, refusal: Refusal, now: float) -> Refusal:
        """End the call: what an attempt showed says more than that no other could be made."""
        if self._last is not None:
            last, verdict = self._last
            self._conclude(verdict, now)
            if refusal.reason is not Reason.TIMEOUT:
                refusal = last
        return self._refuse(refusal, now)

    def _conclude(self, verdict: Verdict, now: float) -> None:
        """Tell the service's breaker; a refusal of our own counts nothing."""
        if self._permit is not None:
            self._permit.release(verdict, now)

    def _refuse(self, refusal: Refusal, now: float) -> Refusal:
        self.finish(now)
        return refusal
