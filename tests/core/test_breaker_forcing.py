"""Breakers in a user's hands: forced, let go, reset; and what is said of it (Breaker 9)."""

import pytest

from msctl.core.breaker import BreakerOptions, CircuitBreaker, Transition
from msctl.core.outcome import Verdict
from msctl.core.router import BreakerEvent, Outcome, Reason, RoutePolicy
from msctl.model import BreakerState, Health, ServiceStatus
from tests.core.routes import POST, World

OPTIONS = BreakerOptions(jitter=0)


def told(breaker: CircuitBreaker) -> list[tuple[BreakerState, str]]:
    seen: list[tuple[BreakerState, str]] = []

    def note(transition: Transition) -> None:
        seen.append((transition.after, transition.reason))

    breaker.on_transition(note)
    return seen


def fail(breaker: CircuitBreaker, now: float, times: int = 5) -> None:
    for _ in range(times):
        permit = breaker.try_acquire(now)
        assert permit is not None
        permit.release(Verdict.FAILURE, now)


def forced_state(world: World, instance_id: str) -> BreakerState:
    return world.route.instance_breaker(instance_id).state(world.now)


def test_every_command_and_every_end_says_its_cause() -> None:
    breaker = CircuitBreaker(options=OPTIONS)
    seen = told(breaker)
    breaker.force_open(0)
    breaker.auto(1)
    breaker.force_closed(2, for_=90)
    breaker.state(92)
    breaker.force_open(93, for_=0.5)
    breaker.reset(93.1)
    fail(breaker, 94)
    breaker.state(99)
    assert seen == [
        (BreakerState.FORCED_OPEN, "by command"),
        (BreakerState.CLOSED, "auto, by command"),
        (BreakerState.FORCED_CLOSED, "by command, for 90 s"),
        (BreakerState.CLOSED, "the time of the forcing is over"),
        (BreakerState.FORCED_OPEN, "by command, for 0.5 s"),
        (BreakerState.CLOSED, "reset, by command"),
        (BreakerState.OPEN, "5 failures in a row"),
        (BreakerState.HALF_OPEN, "after 5 s open"),
    ]


def test_a_snapshot_tells_when_time_alone_ends_a_state() -> None:
    breaker = CircuitBreaker(options=OPTIONS)
    assert breaker.snapshot(0).until is None
    fail(breaker, 1)
    assert breaker.snapshot(2).until == 6
    assert breaker.snapshot(6).until is None, "half-open ends by its probes"
    breaker.force_closed(7, for_=30)
    assert breaker.snapshot(8).until == 37
    breaker.force_closed(9)
    assert breaker.snapshot(9).until is None


def test_a_repeated_forcing_has_the_reason_of_the_last_one() -> None:
    breaker = CircuitBreaker(options=OPTIONS)
    seen = told(breaker)
    breaker.force_open(0)
    breaker.force_open(1, for_=10)
    snapshot = breaker.snapshot(2)
    assert (snapshot.reason, snapshot.since) == ("by command, for 10 s", 0)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("options", "verdict", "reason"),
    [
        (OPTIONS, Verdict.FAILURE, "5 failures in a row"),
        (BreakerOptions(failure_threshold=None, minimum_calls=5), Verdict.THROTTLED, "5 of 5"),
    ],
)
def test_a_breaker_that_may_not_open_says_why_it_would(
    options: BreakerOptions, verdict: Verdict, reason: str
) -> None:
    breaker = CircuitBreaker(options=options, may_open=lambda: False)
    assert breaker.over_threshold(0) is None
    for _ in range(5):
        permit = breaker.try_acquire(0)
        assert permit is not None
        permit.release(verdict, 0)
    assert (breaker.over_threshold(0) or "").startswith(reason)


def test_only_a_forcing_is_gone_on_with() -> None:
    forced, opened = CircuitBreaker(options=OPTIONS), CircuitBreaker(options=OPTIONS)
    forced.force_open(0, for_=30)
    fail(opened, 0)
    successor = CircuitBreaker(options=OPTIONS)
    successor.go_on_with_forcing(opened)
    assert successor.state(1) is BreakerState.CLOSED
    successor.go_on_with_forcing(forced)
    snapshot = successor.snapshot(29)
    assert (snapshot.state, snapshot.until, snapshot.since) == (BreakerState.FORCED_OPEN, 30, 0)
    assert successor.state(30) is BreakerState.CLOSED


# In a route


def test_a_forced_instance_stays_forced_when_its_process_is_restarted() -> None:
    world = World(2)
    world.route.instance_breaker("api-1").force_open(world.now)
    world.change("api-1", status=ServiceStatus.BACKOFF)
    world.add(1, generation=2)
    assert forced_state(world, "api-1") is BreakerState.FORCED_OPEN
    assert {world.send(200) for _ in range(4)} == {"api-2"}


def test_what_was_counted_dies_with_the_process() -> None:
    world = World(2)
    for _ in range(5):
        world.send(500, POST, only="api-1")
    world.add(1, generation=2)
    assert forced_state(world, "api-1") is BreakerState.CLOSED


def test_a_change_of_the_numbers_leaves_what_is_forced() -> None:
    world = World(2)
    world.route.breaker.force_open(world.now)
    world.route.instance_breaker("api-2").force_closed(world.now)
    world.route.configure(RoutePolicy(breaker=BreakerOptions(failure_threshold=2)))
    assert world.refused().reason is Reason.BREAKER_OPEN
    assert forced_state(world, "api-2") is BreakerState.FORCED_CLOSED
    assert forced_state(world, "api-1") is BreakerState.CLOSED


def test_a_service_breaker_says_which_instance_was_the_last() -> None:
    world = World(1)
    for _ in range(5):
        world.send(500, POST)
    assert world.route.breaker.snapshot(world.now).reason == (
        "every instance is over its threshold; api-1: 5 failures in a row"
    )


def test_without_a_call_it_closes_when_every_instance_has_been_replaced() -> None:
    world = World(1)
    for _ in range(5):
        world.send(500, POST)
    world.add(1, generation=2, health=Health.UNKNOWN, status=ServiceStatus.STARTING)
    world.route.catch_up(world.now)
    assert world.route.breaker.state(world.now) is BreakerState.OPEN, "nobody serves yet"
    world.change("api-1", status=ServiceStatus.RUNNING, health=Health.HEALTHY)
    world.route.catch_up(world.now)
    snapshot = world.route.breaker.snapshot(world.now)
    assert (snapshot.state, snapshot.reason) == (
        BreakerState.CLOSED,
        "every instance has been replaced",
    )


def test_without_a_call_an_ejection_ends_when_the_registry_says_so() -> None:
    world = World(2)
    call = world.begin(POST)
    refused = world.lease(call)
    world.fail(call, refused, Outcome.NOT_SENT)
    call.finish(world.now)
    name = refused.instance.id
    world.change(name, health=Health.UNHEALTHY)
    world.change(name, health=Health.HEALTHY)
    world.route.catch_up(world.now)
    assert world.route.instance_breaker(name).last_state is BreakerState.CLOSED


def test_the_breaker_of_a_process_that_was_replaced_tells_nothing_more() -> None:
    world = World(2)
    events: list[BreakerEvent] = []
    world.router.on_breaker(events.append)
    old = world.route.instance_breaker("api-1")
    world.add(1, generation=2)
    old.trip(world.now, "late failures")
    assert events == []
    world.route.instance_breaker("api-1").trip(world.now, "failures")
    assert [event.instance for event in events] == ["api-1"]
