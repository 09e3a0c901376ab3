"""The breaker against a model of a few plain lines, over every order of events."""

import math
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from msctl.core.breaker import BreakerOptions, CircuitBreaker, Permit
from msctl.core.outcome import Verdict
from msctl.model import BreakerState
from tests.core.instances import FixedRandom

OPTIONS = BreakerOptions(failure_threshold=3, minimum_calls=5, probes=2, successes=2)
BAD = (Verdict.FAILURE, Verdict.THROTTLED)


@dataclass
class Model:
    """Written for plainness: one list of results, looked through every time."""

    state: BreakerState = BreakerState.CLOSED
    until: float = 0.0
    openings: int = 0
    closed_at: float = 0.0
    results: list[tuple[float, Verdict]] = field(default_factory=list)
    probes: list[Permit] = field(default_factory=list)
    good: int = 0

    def advance(self, now: float) -> None:
        if self.state is BreakerState.OPEN and now >= self.until:
            self.state, self.probes, self.good = BreakerState.HALF_OPEN, [], 0

    def open(self, now: float) -> None:
        forgotten = 0
        if self.state is BreakerState.CLOSED:
            forgotten = int((now - self.closed_at) / 10)
        self.openings = max(0, self.openings - forgotten)
        self.state = BreakerState.OPEN
        self.until = now + min(5 * 2**self.openings, 60)
        self.openings = min(self.openings + 1, 4)

    def close(self, now: float) -> None:
        self.state, self.closed_at, self.results = BreakerState.CLOSED, now, []

    def admits(self) -> bool:
        if self.state is BreakerState.HALF_OPEN:
            return len(self.probes) + self.good < 2
        return self.state is not BreakerState.OPEN

    def result(self, permit: Permit, verdict: Verdict, now: float) -> None:
        if self.state is BreakerState.CLOSED:
            if verdict is not Verdict.ABANDONED:
                self.results.append((now, verdict))
            if verdict in BAD and (self.rate(now) or (verdict is BAD[0] and self.run() >= 3)):
                self.open(now)
        elif self.state is BreakerState.HALF_OPEN:
            self.probes.remove(permit)
            if verdict is Verdict.FAILURE:
                self.open(now)
            elif verdict is not Verdict.ABANDONED:
                self.good += 1
                if self.good == 2:
                    self.close(now)

    def run(self) -> int:
        run = 0
        for _, verdict in self.results:
            if verdict is Verdict.SUCCESS:
                run = 0
            run += verdict is Verdict.FAILURE
        return run

    def rate(self, now: float) -> bool:
        recent = [v for at, v in self.results if math.floor(at) > math.floor(now) - 10]
        return len(recent) >= 5 and sum(v in BAD for v in recent) * 2 >= len(recent)


class BreakerComparison(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.breaker = CircuitBreaker(options=OPTIONS, random=FixedRandom(0))
        self.model = Model(closed_at=self.now)
        self.current: list[Permit] = []
        self.stale: list[Permit] = []
        self.generation = self.breaker.generation

    def retire(self) -> None:
        if self.breaker.generation != self.generation:
            self.generation = self.breaker.generation
            self.stale += self.current
            self.current = []

    @rule(seconds=st.sampled_from([0.0, 0.125, 0.5, 1.0, 4.0, 5.0, 9.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        # Held back below the 31 s after which a probe counts as failed: that rule has its
        # own test, and would make this model as long as the thing itself.
        if self.current and self.model.state is BreakerState.HALF_OPEN:
            for permit in tuple(self.current):
                self.settle(permit, Verdict.ABANDONED)

    @rule()
    def a_call_asks(self) -> None:
        self.model.advance(self.now)
        permit = self.breaker.try_acquire(self.now)
        self.retire()
        assert (permit is not None) == self.model.admits()
        if permit is not None:
            self.current.append(permit)
            if self.model.state is BreakerState.HALF_OPEN:
                self.model.probes.append(permit)

    @precondition(lambda self: self.current)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def a_call_ends(self, data: st.DataObject, verdict: Verdict) -> None:
        self.settle(data.draw(st.sampled_from(self.current)), verdict)

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def a_call_of_an_older_generation_ends(self, data: st.DataObject, verdict: Verdict) -> None:
        before = self.breaker.snapshot(self.now)
        data.draw(st.sampled_from(self.stale)).release(verdict, self.now)
        assert self.breaker.snapshot(self.now) == before

    @precondition(lambda self: not self.current)
    @rule()
    def a_run_of_failures(self) -> None:
        for _ in range(3):
            self.a_call_asks()
            if self.current:
                self.settle(self.current[-1], Verdict.FAILURE)

    @invariant()
    def both_are_in_the_same_state(self) -> None:
        self.model.advance(self.now)
        assert self.breaker.state(self.now) is self.model.state
        self.retire()
        if self.model.state is BreakerState.OPEN:
            assert self.breaker.retry_after(self.now) == self.model.until - self.now

    @invariant()
    def it_is_never_open_for_longer_than_the_timeout(self) -> None:
        wait = self.breaker.retry_after(self.now)
        assert wait is not None
        assert wait <= OPTIONS.timeout

    def settle(self, permit: Permit, verdict: Verdict) -> None:
        self.model.advance(self.now)
        self.current.remove(permit)
        permit.release(verdict, self.now)
        self.model.result(permit, verdict, self.now)
        self.retire()


BreakerComparison.TestCase.settings = settings(max_examples=60, stateful_step_count=60)
TestBreakerComparison = BreakerComparison.TestCase
