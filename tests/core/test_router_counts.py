"""Whatever happens in whatever order: counts add up, stay within limits, and end at zero."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from msctl.core.router import (
    Again,
    Call,
    CallFacts,
    Lease,
    LimitOptions,
    Outcome,
    Refusal,
    RoutePolicy,
)
from msctl.model import Health, ServiceStatus
from tests.core.routes import SERVICE, World

LIMITS = LimitOptions(in_flight=6, per_instance=2, queue=3)


class Counts(RuleBasedStateMachine):
    """Plays a proxy with many calls at once, which may do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(3, RoutePolicy(limits=LIMITS))
        self.idle: list[Call] = []
        self.busy: list[tuple[Call, Lease]] = []

    @rule(idempotent=st.booleans())
    def begins(self, *, idempotent: bool) -> None:
        call = self.world.route.begin(CallFacts(idempotent=idempotent), self.world.now)
        if isinstance(call, Call):
            self.idle.append(call)

    @precondition(lambda self: self.idle)
    @rule(data=st.data())
    def picks(self, data: st.DataObject) -> None:
        call = self.take_idle(data)
        step = call.pick(self.world.now)
        if isinstance(step, Lease):
            self.busy.append((call, step))
        elif not isinstance(step, Refusal):
            self.idle.append(call)

    @precondition(lambda self: self.busy)
    @rule(
        data=st.data(), status=st.sampled_from([200, 404, 429, 500, 503]), breaks_off=st.booleans()
    )
    def answers(self, data: st.DataObject, status: int, *, breaks_off: bool) -> None:
        call, lease = self.take_busy(data)
        if isinstance(self.world.answer(call, lease, status, retry_after=2), Again):
            self.idle.append(call)
            return
        if breaks_off:
            call.broken(lease, self.world.now)
        lease.release(self.world.now)
        call.finish(self.world.now)

    @precondition(lambda self: self.busy)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(sorted(set(Outcome) - {Outcome.ANSWERED})),
        can_replay=st.booleans(),
    )
    def fails(self, data: st.DataObject, outcome: Outcome, *, can_replay: bool) -> None:
        call, lease = self.take_busy(data)
        if isinstance(self.world.fail(call, lease, outcome, can_replay=can_replay), Again):
            self.idle.append(call)
        for _ in range(2):
            lease.release(self.world.now)

    @precondition(lambda self: self.idle)
    @rule(data=st.data())
    def gives_up_waiting(self, data: st.DataObject) -> None:
        self.take_idle(data).finish(self.world.now)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def is_cancelled(self, data: st.DataObject) -> None:
        call, lease = self.take_busy(data)
        call.finish(self.world.now)
        lease.release(self.world.now)

    @rule(number=st.integers(1, 3), status=st.sampled_from(ServiceStatus))
    def changes(self, number: int, status: ServiceStatus) -> None:
        self.world.change(f"{SERVICE}-{number}", status=status)

    @rule(number=st.integers(1, 3), health=st.sampled_from(Health))
    def is_checked(self, number: int, health: Health) -> None:
        self.world.change(f"{SERVICE}-{number}", health=health)

    @rule(number=st.integers(1, 3))
    def restarts(self, number: int) -> None:
        generation = self.world.registry.last_generation(f"{SERVICE}-{number}")
        self.world.add(number, generation=generation + 1)

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @invariant()
    def no_count_leaves_its_limits(self) -> None:
        assert all(0 <= count <= 2 for count in self.world.connections())
        assert 0 <= self.world.route.in_flight <= LIMITS.in_flight
        assert 0 <= self.world.route.queued <= LIMITS.queue

    @invariant()
    def a_busy_call_holds_one_connection_of_its_process(self) -> None:
        # A waiter may have been granted one that it has not picked up yet.
        present = {i.id: i.generation for i in self.world.registry.get_service(SERVICE)}
        leased = [lease.instance for _, lease in self.busy]
        held = sum(present[instance.id] == instance.generation for instance in leased)
        assert held <= sum(self.world.connections()) <= held + len(self.idle)

    def teardown(self) -> None:
        for call in [*self.idle, *(call for call, _ in self.busy)]:
            call.finish(self.world.now)
        assert self.world.connections() == [0, 0, 0]
        assert (self.world.route.in_flight, self.world.route.queued) == (0, 0)

    def take_idle(self, data: st.DataObject) -> Call:
        return self.idle.pop(data.draw(st.integers(0, len(self.idle) - 1)))

    def take_busy(self, data: st.DataObject) -> tuple[Call, Lease]:
        return self.busy.pop(data.draw(st.integers(0, len(self.busy) - 1)))


Counts.TestCase.settings = settings(max_examples=60, stateful_step_count=60)
TestCounts = Counts.TestCase
