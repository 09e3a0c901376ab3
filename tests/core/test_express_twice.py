"""Two routes see the same, one has the express lane: nobody can tell them apart."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from msctl.config.traffic import Algorithm
from msctl.core.breaker import CircuitBreaker
from msctl.core.breaker_options import BreakerOptions
from msctl.core.decision import Wait
from msctl.core.router import (
    CallFacts,
    LimitOptions,
    Outcome,
    RetryOptions,
    RoutePolicy,
)
from msctl.model import Health, ServiceStatus
from tests.core.express_sides import Side, Step, Trip
from tests.core.routes import SERVICE

LIMITS = LimitOptions(in_flight=8, queue=3)
EASY = BreakerOptions(failure_threshold=2, minimum_calls=4)
SIZE = settings(max_examples=40, stateful_step_count=50, deadline=None)
NAMES = [f"{SERVICE}-{number}" for number in (1, 2, 3)]

POLICIES = st.builds(
    RoutePolicy,
    timeout=st.sampled_from([2.0, 30.0]),
    retries=st.sampled_from([None, RetryOptions(), RetryOptions(min_per_second=0)]),
    breaker=st.sampled_from([None, EASY, replace(EASY, window=5.0)]),
    limits=st.sampled_from([LIMITS, LIMITS, replace(LIMITS, per_instance=2), LimitOptions()]),
)


class Twice(RuleBasedStateMachine):
    """Plays a proxy before two routes that have seen the same; nobody can tell them apart."""

    algorithm = Algorithm.ROUND_ROBIN
    taken = 0

    def __init__(self) -> None:
        super().__init__()
        self.busy: list[tuple[Trip, Trip]] = []
        self.waiting: list[tuple[Trip, Trip]] = []

    @initialize(policy=POLICIES)
    def opens(self, policy: RoutePolicy) -> None:
        policy = replace(policy, algorithm=self.algorithm)
        self.plain, self.fast = Side(policy, express=False), Side(policy, express=True)

    @property
    def now(self) -> float:
        return self.plain.world.now

    # Calls

    @rule(count=st.integers(1, 4), idempotent=st.booleans())
    def begins(self, count: int, *, idempotent: bool) -> None:
        for _ in range(count):
            trips = self.trips(idempotent=idempotent)
            self.goes_to(trips, self.plain.begin(trips[0]), self.fast.begin(trips[1]))

    @rule(count=st.integers(1, 4), idempotent=st.booleans())
    def begins_when_all_is_well(self, count: int, *, idempotent: bool) -> None:
        self.is_well_again()
        self.begins(count, idempotent=idempotent)

    @rule(idempotent=st.booleans())
    def finds_no_connection(self, *, idempotent: bool) -> None:
        plain, fast = trips = self.trips(idempotent=idempotent)
        self.goes_to(trips, self.plain.begin(plain), self.fast.begin(fast, connected=False))

    @rule(facts=st.sampled_from([CallFacts(idempotent=True, instance=name) for name in NAMES]))
    def asks_for_one_instance(self, facts: CallFacts) -> None:
        plain, fast = (Trip(facts, self.now) for _ in range(2))
        self.fast.express = False
        self.goes_to((plain, fast), self.plain.begin(plain), self.fast.begin(fast))
        self.fast.express = True

    @precondition(lambda self: self.busy)
    @rule(
        data=st.data(),
        status=st.sampled_from([200, 200, 200, 302, 404, 429, 500, 503]),
        hand_over=st.booleans(),
        replay=st.booleans(),
        breaks_off=st.sampled_from([False, False, False, True]),
    )
    def answers(
        self, data: st.DataObject, status: int, *, hand_over: bool, replay: bool, breaks_off: bool
    ) -> None:
        plain, fast = trips = self.take(data)
        how = {"hand_over": hand_over, "replay": replay, "breaks_off": breaks_off}
        self.goes_to(
            trips, self.plain.answer(plain, status, **how), self.fast.answer(fast, status, **how)
        )

    @precondition(lambda self: self.busy)
    @rule()
    def answers_all(self) -> None:
        trips, self.busy = self.busy, []
        how = {"hand_over": False, "replay": True, "breaks_off": False}
        for plain, fast in trips:
            assert self.plain.answer(plain, 200, **how) == self.fast.answer(fast, 200, **how)

    @precondition(lambda self: self.busy)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(sorted(set(Outcome) - {Outcome.ANSWERED})),
        replay=st.booleans(),
    )
    def fails(self, data: st.DataObject, outcome: Outcome, *, replay: bool) -> None:
        plain, fast = trips = self.take(data)
        self.goes_to(
            trips,
            self.plain.fail(plain, outcome, replay=replay),
            self.fast.fail(fast, outcome, replay=replay),
        )

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def goes_away(self, data: st.DataObject) -> None:
        for side, trip in zip((self.plain, self.fast), self.take(data), strict=True):
            side.leave(trip)
        self.wakes()

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def is_handed_over(self, data: st.DataObject) -> None:
        _, fast = self.busy[data.draw(st.integers(0, len(self.busy) - 1))]
        self.fast.hand_over(fast)

    # What happens around them

    @rule(name=st.sampled_from(NAMES), health=st.sampled_from(Health))
    def is_checked(self, name: str, health: Health) -> None:
        for side in (self.plain, self.fast):
            if side.world.registry.get_instance(name):
                side.world.change(name, health=health)
        self.wakes()

    @rule(
        name=st.sampled_from(NAMES),
        status=st.sampled_from([ServiceStatus.RUNNING, *ServiceStatus]),
    )
    def changes(self, name: str, status: ServiceStatus) -> None:
        for side in (self.plain, self.fast):
            if side.world.registry.get_instance(name):
                side.world.change(name, status=status)
        self.wakes()

    @rule(name=st.sampled_from(NAMES), weight=st.integers(1, 3))
    def is_weighed(self, name: str, weight: int) -> None:
        for side in (self.plain, self.fast):
            if side.world.registry.get_instance(name):
                side.world.change(name, weight=weight)
        self.wakes()

    @rule(number=st.integers(1, 4))
    def starts_anew(self, number: int) -> None:
        for side in (self.plain, self.fast):
            last = side.world.registry.last_generation(f"{SERVICE}-{number}")
            side.world.add(number, generation=last + 1)
        self.wakes()

    @rule(number=st.integers(1, 4))
    def is_taken_out(self, number: int) -> None:
        for side in (self.plain, self.fast):
            side.world.registry.unregister_service(f"{SERVICE}-{number}")
        self.wakes()

    def is_well_again(self) -> None:
        for side in (self.plain, self.fast):
            for instance in side.world.registry.get_service(SERVICE):
                side.world.change(instance.id, status=ServiceStatus.RUNNING, health=Health.HEALTHY)
            for breaker in side.world.route.breakers():
                breaker.reset(self.now)
            side.world.route.catch_up(self.now)
        self.wakes()

    @rule(number=st.integers(0, 3), command=st.sampled_from(["open", "close", "auto", "reset"]))
    def is_commanded(self, number: int, command: str) -> None:
        for side in (self.plain, self.fast):
            breakers = side.world.route.breakers()
            obey(breakers[number % len(breakers)], command, self.now)
            side.world.route.catch_up(self.now)
        self.wakes()

    @rule(policy=POLICIES)
    def is_configured(self, policy: RoutePolicy) -> None:
        for side in (self.plain, self.fast):
            side.world.route.configure(replace(policy, algorithm=self.algorithm))
        self.wakes()

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3, 1.0, 2.5, 6.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        for side in (self.plain, self.fast):
            side.world.now += seconds
        self.wakes()

    # What holds

    @invariant()
    def nobody_can_tell_the_two_apart(self) -> None:
        if hasattr(self, "plain"):
            assert self.plain.state() == self.fast.state()

    def teardown(self) -> None:
        if not hasattr(self, "plain"):
            return
        for plain, fast in self.busy + self.waiting:
            self.plain.leave(plain)
            self.fast.leave(fast)
        type(self).taken += self.fast.taken
        for side in (self.plain, self.fast):
            route = side.world.route
            assert set(side.world.connections()) <= {0}
            assert (route.in_flight, route.queued) == (0, 0)
            assert all(m.load.limited == 0 for m in route._parts.rotation.members())

    # Steps that several rules share

    def trips(self, *, idempotent: bool) -> tuple[Trip, Trip]:
        facts = CallFacts(idempotent=idempotent)
        return Trip(facts, self.now), Trip(facts, self.now)

    def take(self, data: st.DataObject) -> tuple[Trip, Trip]:
        return self.busy.pop(data.draw(st.integers(0, len(self.busy) - 1)))

    def goes_to(self, trips: tuple[Trip, Trip], plain: Step, fast: Step) -> None:
        assert plain == fast
        if isinstance(plain, Wait):
            self.waiting.append(trips)
        elif isinstance(plain, tuple):
            self.busy.append(trips)
        self.wakes()

    def wakes(self) -> None:
        """Let those who were woken, or whose time has come, ask again, as their tasks would."""
        while due := [t for t in self.waiting if self.is_due(t[0])]:
            for trips in due:
                self.waiting.remove(trips)
                assert self.is_due(trips[1]), "woken on the one side only"
                plain, fast = self.plain.pick(trips[0]), self.fast.pick(trips[1])
                assert plain == fast
                if isinstance(plain, Wait):
                    self.waiting.append(trips)
                elif isinstance(plain, tuple):
                    self.busy.append(trips)
        assert not [fast for _, fast in self.waiting if self.is_due(fast)]

    def is_due(self, trip: Trip) -> bool:
        return trip.woken or trip.wait is None or trip.wait.until <= self.now


def obey(breaker: CircuitBreaker, command: str, now: float) -> None:
    match command:
        case "open":
            breaker.force_open(now, 1.0)
        case "close":
            breaker.force_closed(now, 1.0)
        case "auto":
            breaker.auto(now)
        case _:
            breaker.reset(now)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_nobody_can_tell_a_route_with_the_lane_from_one_without(algorithm: Algorithm) -> None:
    class Machine(Twice):
        taken = 0

    Machine.algorithm = algorithm
    run_state_machine_as_test(Machine, settings=SIZE)
    assert Machine.taken > SIZE.max_examples // 2, "hardly a call went over the lane"
