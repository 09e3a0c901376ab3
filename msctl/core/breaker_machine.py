"""The breaker's state machine: a table of transitions, and what each state does with a verdict.

No clock, no lock and no listener of its own; `CircuitBreaker` puts those around it.
"""

from collections.abc import Callable

from msctl.core.breaker_events import Transition
from msctl.core.breaker_history import BreakerHistory
from msctl.core.breaker_options import BreakerOptions
from msctl.core.breaker_permit import Permit, PermitIssuer
from msctl.core.breaker_schedule import OpenSchedule
from msctl.core.jitter import RandomSource
from msctl.core.outcome import Verdict
from msctl.errors import IllegalTransition
from msctl.model import BreakerState

_FORCED = frozenset({BreakerState.FORCED_OPEN, BreakerState.FORCED_CLOSED})

TRANSITIONS: dict[BreakerState, frozenset[BreakerState]] = {
    BreakerState.CLOSED: frozenset({BreakerState.OPEN}) | _FORCED,
    BreakerState.OPEN: frozenset({BreakerState.HALF_OPEN, BreakerState.CLOSED}) | _FORCED,
    BreakerState.HALF_OPEN: frozenset({BreakerState.OPEN, BreakerState.CLOSED}) | _FORCED,
    BreakerState.FORCED_OPEN: frozenset({BreakerState.CLOSED, BreakerState.FORCED_CLOSED}),
    BreakerState.FORCED_CLOSED: frozenset({BreakerState.CLOSED, BreakerState.FORCED_OPEN}),
}
"""Every legal change of state; anything else raises and changes nothing."""

_RESET = "reset, by command"

PROBE_UNDER_WAY = 1.0
"""Seconds after which to ask again while all probes are out: one will have told by then."""


class BreakerMachine:
    """The state, and everything that may change it; `now` never has to be called for.

    What time alone decides (the end of an opening or of a forcing, a probe that is overdue)
    is caught up with by `advance`, and happens at its own time, however late that is: the
    machine behaves the same whether or not anyone looks at it in between.
    """

    def __init__(
        self,
        options: BreakerOptions,
        random: RandomSource,
        note: Callable[[Transition], None],
    ) -> None:
        self.options = options
        self.state = BreakerState.CLOSED
        self.generation = 0
        self.since: float | None = None
        """When the present state began; None if it never changed."""
        self.reason = ""
        self.unreachable = False
        """Open because connections were refused: ends with the next passed health check."""
        self.history = BreakerHistory(options)
        self._schedule = OpenSchedule(options, random)
        self._note = note
        self._until: float | None = None
        self._probes: dict[Permit, float] = {}
        self._good_probes = 0

    def advance(self, now: float) -> None:
        """Do what time has brought about up to `now`."""
        if self.state is BreakerState.CLOSED:
            return  # nothing but a call changes this one
        while (due := self._due()) is not None and due <= now:
            if self.state is BreakerState.OPEN:
                self._move(
                    BreakerState.HALF_OPEN, due, f"after {_seconds(due - self._since())} open"
                )
            elif self.state is BreakerState.HALF_OPEN:
                self._open(due, "a probe gave no answer", unreachable=self.unreachable)
            else:
                self._move(BreakerState.CLOSED, due, "the time of the forcing is over")

    def admits(self, now: float) -> bool:
        """Whether a call that came now would get a permit."""
        self.advance(now)
        if self.state is BreakerState.HALF_OPEN:
            out = len(self._probes)
            return out < self.options.probes and out + self._good_probes < self.options.successes
        return self.state in (BreakerState.CLOSED, BreakerState.FORCED_CLOSED)

    def acquire(self, issuer: PermitIssuer, now: float, limit: float | None) -> Permit | None:
        """Give a permit if there is one; `limit` is in seconds, for a probe."""
        if not self.admits(now):
            return None
        if self.state is not BreakerState.HALF_OPEN:
            return Permit(issuer, self.generation, None)
        expires_at = now + (self.options.probe_limit if limit is None else limit)
        permit = Permit(issuer, self.generation, expires_at)
        self._probes[permit] = expires_at
        return permit

    @property
    def until(self) -> float | None:
        """When an opening or a forcing ends by itself; None if it has no end, or in any other."""
        return self._until

    def retry_after(self, now: float) -> float | None:
        """Return seconds until it is worth asking again, 0 if it is now, None if nobody knows."""
        if self.admits(now):
            return 0.0
        if self.state is BreakerState.HALF_OPEN:
            return PROBE_UNDER_WAY
        return None if self._until is None else self._until - now

    def settle(
        self, permit: Permit, verdict: Verdict, now: float, *, may_open: bool, lost: bool = False
    ) -> None:
        """Count a verdict; one of an older generation or given twice changes nothing."""
        if not self._take_back(permit, now):
            return
        if self.state is BreakerState.CLOSED:
            self._settle_closed(verdict, now, may_open=may_open, lost=lost)
        elif self.state is BreakerState.HALF_OPEN:
            self._settle_half_open(verdict, now, lost=lost)

    def settle_unreachable(self, permit: Permit, now: float) -> None:
        """Open at once, unless the breaker is off, forced, or of another generation."""
        if not self._take_back(permit, now) or self.state in _FORCED:
            return
        if self.options.failure_threshold is None and self.options.failure_rate is None:
            return
        self._open(now, "connection refused", unreachable=True)

    def trip(self, now: float, reason: str) -> None:
        """Open a closed breaker for a reason that lies outside its own counts."""
        self.advance(now)
        if self.state is BreakerState.CLOSED:
            self._open(now, reason, unreachable=False)

    def close(self, now: float, reason: str) -> None:
        """Close an open or half-open breaker, with a fresh window."""
        self.advance(now)
        if self.state in (BreakerState.OPEN, BreakerState.HALF_OPEN):
            self._move(BreakerState.CLOSED, now, reason)

    def force(self, state: BreakerState, now: float, seconds: float | None) -> None:
        """Hold it in a forced state, for good or for some seconds; may be repeated."""
        self.advance(now)
        reason = "by command" if seconds is None else f"by command, for {_seconds(seconds)}"
        if self.state is not state:
            self._move(state, now, reason)
        self.reason = reason
        self._until = None if seconds is None else now + seconds

    def go_on_with_forcing(self, other: "BreakerMachine") -> None:
        """Take the place of another one: a forcing holds for whatever it was asked for."""
        if other.state in _FORCED:
            self.state, self.since, self.reason = other.state, other.since, other.reason
            self._until = other.until

    def end_forcing(self, now: float) -> None:
        """Let a forced breaker decide by itself again, from closed."""
        self.advance(now)
        if self.state in _FORCED:
            self._move(BreakerState.CLOSED, now, "auto, by command")

    def reset(self, now: float) -> None:
        """Forget everything: closed, no counts, and calls under way will not count."""
        self.advance(now)
        if self.state is BreakerState.CLOSED:
            self.generation += 1
            self.history.clear()
            self.reason = _RESET
        else:
            self._move(BreakerState.CLOSED, now, _RESET)
        self._schedule.forget()

    def _since(self) -> float:
        assert self.since is not None, "it has changed its state"
        return self.since

    def _due(self) -> float | None:
        if self.state is BreakerState.HALF_OPEN:
            return min(self._probes.values(), default=None)
        return self._until

    def _take_back(self, permit: Permit, now: float) -> bool:
        """Mark a permit as given back; False if what it says does not concern this state."""
        if permit.released:
            return False
        permit.released = True
        self.advance(now)
        if permit.generation != self.generation:
            return False
        self._probes.pop(permit, None)
        return True

    def _settle_closed(self, verdict: Verdict, now: float, *, may_open: bool, lost: bool) -> None:
        self.history.record(verdict, now, lost=lost)
        only_lost = self.history.only_lost
        # A breaker that may not open keeps its counts: it is over its threshold all the same.
        if may_open and (reason := self.history.trips(verdict, now)) is not None:
            # Who never answered tells by its health when it is back; who answered badly has
            # to answer well (router.md, Breaker 8).
            self._open(now, reason, unreachable=only_lost)

    def _settle_half_open(self, verdict: Verdict, now: float, *, lost: bool) -> None:
        if verdict is Verdict.FAILURE:
            self._open(now, "the probe failed", unreachable=lost)
        elif verdict is not Verdict.ABANDONED:
            self._good_probes += 1
            if self._good_probes >= self.options.successes:
                self._move(BreakerState.CLOSED, now, _success(self.options.successes))

    def _open(self, at: float, reason: str, *, unreachable: bool) -> None:
        self._move(BreakerState.OPEN, at, reason)
        self.unreachable = unreachable
        self._until = at + self._schedule.next_duration(at)

    def _move(self, to: BreakerState, at: float, reason: str) -> None:
        if to not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"a breaker cannot go from {self.state} to {to}")
        before, self.state = self.state, to
        self.generation += 1
        self.since, self.reason = at, reason
        self._until = None
        self._probes.clear()
        self._good_probes = 0
        self.history.clear()
        if to is BreakerState.CLOSED:
            self._schedule.closed(at)
        if to is not BreakerState.HALF_OPEN:
            self.unreachable = False
        self._note(
            Transition(before=before, after=to, reason=reason, at=at, generation=self.generation)
        )


def _seconds(seconds: float) -> str:
    return f"{round(seconds, 2):g} s"


def _success(probes: int) -> str:
    return "the probe succeeded" if probes == 1 else f"{probes} probes succeeded"
