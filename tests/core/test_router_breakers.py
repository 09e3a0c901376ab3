"""Two levels of breakers over several instances (router.md, Breaker 5 to 9, What counts)."""

import pytest

from msctl.core.router import (
    Again,
    BreakerEvent,
    Outcome,
    Reason,
    Refusal,
    Relay,
    RoutePolicy,
)
from msctl.model import BreakerState, Health, ServiceStatus
from tests.core.routes import GET, POST, SERVICE, World


def fail_times(world: World, count: int, instance_id: str) -> None:
    for _ in range(count):
        world.send(500, POST, only=instance_id)


def raises(event: BreakerEvent) -> None:
    raise RuntimeError(event.service)


def state(world: World, instance_id: str) -> BreakerState:
    return world.route.instance_breaker(instance_id).state(world.now)


def test_an_instance_that_fails_leaves_rotation_and_the_others_serve() -> None:
    world = World(3)
    fail_times(world, 5, "api-1")
    assert state(world, "api-1") is BreakerState.OPEN
    assert {world.send(200) for _ in range(20)} == {"api-2", "api-3"}
    assert world.route.breaker.state(world.now) is BreakerState.CLOSED


def test_a_retry_that_helped_is_no_failure_of_the_service() -> None:
    world = World(2)
    for _ in range(40):
        call = world.begin(GET)
        while True:
            lease = world.lease(call)
            bad = lease.instance.id == "api-1"
            if isinstance(world.answer(call, lease, 503 if bad else 200), Relay):
                break
        lease.release(world.now)
        call.finish(world.now)
    assert state(world, "api-1") is BreakerState.OPEN
    snapshot = world.route.breaker.snapshot(world.now)
    assert (snapshot.calls, snapshot.failures) == (40, 0)


def test_one_refused_connection_sets_an_instance_aside() -> None:
    world = World(2)
    call = world.begin(POST)
    refused = world.lease(call)
    assert world.fail(call, refused, Outcome.NOT_SENT) == Again(0)
    call.finish(world.now)
    others = {world.send(200) for _ in range(6)}
    assert refused.instance.id not in others
    world.route.health_passed(refused.instance.id, 1, world.now)
    assert refused.instance.id in {world.send(200) for _ in range(6)}


def test_a_recovery_that_the_registry_tells_ends_it_too() -> None:
    world = World(2)
    call = world.begin(POST)
    lease = world.lease(call)
    refused = lease.instance.id
    world.fail(call, lease, Outcome.NOT_SENT)
    call.finish(world.now)
    world.change(refused, health=Health.UNHEALTHY)
    world.change(refused, health=Health.HEALTHY)
    assert refused in {world.send(200) for _ in range(6)}


def test_a_check_of_an_older_generation_ends_nothing() -> None:
    world = World(2)
    world.add(1, generation=2)
    call = world.begin(POST)
    while (lease := world.lease(call)).instance.id != "api-1":
        world.answer(call, lease, 200)
        call.finish(world.now)
        call = world.begin(POST)
    world.fail(call, lease, Outcome.NOT_SENT)
    call.finish(world.now)
    world.route.health_passed("api-1", 1, world.now)
    assert state(world, "api-1") is BreakerState.OPEN
    world.route.health_passed("api-1", 2, world.now)
    assert state(world, "api-1") is BreakerState.CLOSED


def test_a_passed_check_does_not_end_an_ejection_for_failures() -> None:
    world = World(2)
    fail_times(world, 5, "api-1")
    world.route.health_passed("api-1", 1, world.now)
    assert state(world, "api-1") is BreakerState.OPEN


def lose(world: World, count: int, instance_id: str) -> None:
    """Have an instance leave so many calls alone: it hung, and its health told."""
    for _ in range(count):
        call = world.begin(GET)
        while (lease := world.lease(call)).instance.id != instance_id:
            world.answer(call, lease, 200)
            call.finish(world.now)
            call = world.begin(GET)
        world.fail(call, lease, Outcome.LOST)
        call.finish(world.now)


def test_who_left_calls_alone_is_back_when_its_health_checks_pass() -> None:
    world = World(3)
    lose(world, 5, "api-1")
    assert state(world, "api-1") is BreakerState.OPEN
    world.route.health_passed("api-1", 1, world.now)
    assert state(world, "api-1") is BreakerState.CLOSED


def test_one_bad_answer_in_the_run_takes_a_good_one_to_end_it() -> None:
    world = World(3)
    world.send(500, POST, only="api-1")
    lose(world, 4, "api-1")
    world.route.health_passed("api-1", 1, world.now)
    assert state(world, "api-1") is BreakerState.OPEN


@pytest.mark.parametrize(("size", "stay"), [(2, 1), (3, 1), (4, 2), (5, 3), (8, 4)])
def test_of_up_to_three_one_instance_stays_and_above_half(size: int, stay: int) -> None:
    world = World(size)
    for _ in range(6 * size):  # one is good: else the service itself would open
        world.send(200, only=f"api-{size}")
    for number in range(1, size):
        fail_times(world, 5, f"api-{number}")
    states = [state(world, f"api-{number}") for number in range(1, size + 1)]
    assert states.count(BreakerState.CLOSED) == stay


def test_what_is_known_to_be_dead_is_not_capped_and_counts_for_nobody() -> None:
    world = World(2)
    call = world.begin(POST)
    for _ in range(2):
        assert world.fail(call, world.lease(call), Outcome.NOT_SENT) == Again(0)
    assert state(world, "api-1") is state(world, "api-2") is BreakerState.OPEN
    assert world.route.breaker.state(world.now) is BreakerState.CLOSED


def test_dead_instances_are_not_tried_in_a_panic() -> None:
    world = World(1)
    call = world.begin(POST)
    assert world.fail(call, world.lease(call), Outcome.NOT_SENT) == Again(0)
    call.finish(world.now)
    later = world.begin(GET)
    world.now = world.wait(later).until
    refusal = later.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NO_INSTANCES
    assert refusal.retry_after is not None


def test_the_service_opens_when_every_instance_is_over_its_threshold() -> None:
    world = World(2)
    fail_times(world, 5, "api-1")
    fail_times(world, 4, "api-2")
    assert world.route.breaker.state(world.now) is BreakerState.CLOSED
    fail_times(world, 1, "api-2")
    assert world.route.breaker.state(world.now) is BreakerState.OPEN
    refusal = world.refused()
    assert (refusal.reason, refusal.status) == (Reason.BREAKER_OPEN, 503)
    assert refusal.retry_after is not None
    assert 5 <= refusal.retry_after <= 7.5


def test_the_breaker_of_a_single_instance_is_that_of_its_service() -> None:
    world = World(1)
    fail_times(world, 5, "api-1")
    assert world.route.breaker.state(world.now) is BreakerState.OPEN
    assert state(world, "api-1") is BreakerState.CLOSED, "the last one is never ejected"
    wait = world.refused().retry_after
    assert wait is not None
    world.now += wait
    for _ in range(3):
        assert world.route.breaker.state(world.now) is BreakerState.HALF_OPEN
        world.send(200)
    assert world.route.breaker.state(world.now) is BreakerState.CLOSED
    fail_times(world, 1, "api-1")
    assert world.route.breaker.state(world.now) is BreakerState.CLOSED, "with a fresh window"


def test_the_service_opens_on_half_of_twenty_final_failures() -> None:
    world = World(4)
    for number in range(20):
        world.send(200 if number % 2 else 500, POST, only=f"api-{number // 2 % 4 + 1}")
    assert world.route.breaker.snapshot(world.now).calls == 20
    assert world.route.breaker.state(world.now) is BreakerState.CLOSED, "a success came last"
    world.send(500, POST, only="api-1")
    assert world.route.breaker.state(world.now) is BreakerState.OPEN


def test_of_many_calls_three_probe_a_half_open_service() -> None:
    world = World(1)
    fail_times(world, 5, "api-1")
    wait = world.refused().retry_after
    assert wait is not None
    world.now += wait
    begun = [world.route.begin(GET, world.now) for _ in range(1000)]
    refused = [call for call in begun if isinstance(call, Refusal)]
    assert len(refused) == 997
    assert {refusal.retry_after for refusal in refused} == {1.0}


def test_when_every_instance_has_been_replaced_the_service_closes() -> None:
    world = World(2)
    fail_times(world, 5, "api-1")
    fail_times(world, 5, "api-2")
    assert world.refused().reason is Reason.BREAKER_OPEN
    world.add(1, generation=2)
    assert world.refused().reason is Reason.BREAKER_OPEN, "one of the two is still there"
    world.add(3)
    world.change("api-2", status=ServiceStatus.DRAINING)
    assert world.send(200) in {"api-1", "api-3"}
    snapshot = world.route.breaker.snapshot(world.now)
    assert (snapshot.state, snapshot.calls) == (BreakerState.CLOSED, 1)


@pytest.mark.parametrize("gone", [False, True], ids=["draining", "unregistered"])
def test_what_fails_because_we_stop_it_is_not_counted(*, gone: bool) -> None:
    world = World(2)
    for _ in range(30):
        call = world.begin(POST)
        lease = world.lease(call)
        if gone:
            world.registry.unregister_service(lease.instance.id)
        else:
            world.change(lease.instance.id, status=ServiceStatus.DRAINING)
        assert isinstance(world.fail(call, lease, Outcome.LOST), Refusal)
        world.add(int(lease.instance.id[-1]), generation=lease.instance.generation + 1)
    assert world.route.breaker.snapshot(world.now).calls == 0


def test_what_fails_because_it_crashed_is_counted() -> None:
    world = World(2)
    call = world.begin(POST)
    lease = world.lease(call)
    world.change(lease.instance.id, status=ServiceStatus.BACKOFF)
    assert isinstance(world.fail(call, lease, Outcome.LOST), Refusal)
    assert world.route.breaker.snapshot(world.now).failures == 1


def test_a_body_that_breaks_off_is_one_more_failure_of_both() -> None:
    world = World(2)
    call = world.begin(GET)
    lease = world.lease(call)
    assert world.answer(call, lease, 200) == Relay()
    call.broken(lease, world.now)
    lease.release(world.now)
    call.finish(world.now)
    for breaker in (world.route.instance_breaker(lease.instance.id), world.route.breaker):
        snapshot = breaker.snapshot(world.now)
        assert (snapshot.calls, snapshot.failures) == (2, 1)


def test_a_client_that_goes_away_counts_nothing() -> None:
    world = World(1)
    call = world.begin(GET)
    world.fail(call, world.lease(call), Outcome.CLIENT_GONE)
    call.finish(world.now)
    assert world.route.breaker.snapshot(world.now).calls == 0
    assert world.route.instance_breaker("api-1").snapshot(world.now).calls == 0


def test_503_with_retry_after_sets_that_instance_aside_for_so_long() -> None:
    world = World(2)
    call = world.begin(POST)
    lease = world.lease(call)
    world.answer(call, lease, 503, retry_after=300)
    lease.release(world.now)
    call.finish(world.now)
    assert lease.instance.id not in {world.send(200) for _ in range(6)}
    world.now += 60
    assert lease.instance.id in {world.send(200) for _ in range(6)}, "at most 60 s"


def test_the_last_instance_is_not_set_aside() -> None:
    world = World(1)
    call = world.begin(POST)
    lease = world.lease(call)
    world.answer(call, lease, 503, retry_after=30)
    lease.release(world.now)
    call.finish(world.now)
    assert world.send(200) == "api-1"


def test_a_forced_open_service_refuses_and_says_when_only_if_there_is_an_end() -> None:
    world = World(1)
    for breaker in world.route.breakers():
        breaker.force_open(world.now)
    assert world.refused().reason is Reason.BREAKER_OPEN
    assert world.refused().retry_after is None
    world.route.breaker.force_open(world.now, for_=30)
    assert world.refused().retry_after == 30
    for breaker in world.route.breakers():
        breaker.auto(world.now)
    assert world.send(200) == "api-1"


def test_an_instance_that_is_forced_open_gets_nothing() -> None:
    world = World(2)
    world.route.instance_breaker("api-1").force_open(world.now)
    assert {world.send(200) for _ in range(5)} == {"api-2"}
    world.route.instance_breaker("api-2").force_open(world.now)
    assert world.refused().reason is Reason.BREAKER_OPEN


def test_breakers_that_are_off_never_open() -> None:
    world = World(2, RoutePolicy(breaker=None))
    for _ in range(100):
        world.send(500, POST)
    assert {breaker.state(world.now) for breaker in world.route.breakers()} == {BreakerState.CLOSED}


def test_changes_of_every_breaker_are_told_with_service_and_instance() -> None:
    world = World(2)
    events: list[BreakerEvent] = []
    world.router.on_breaker(raises)
    world.router.on_breaker(events.append)
    fail_times(world, 5, "api-1")
    fail_times(world, 5, "api-2")
    told = [(event.service, event.instance, event.transition.after) for event in events]
    assert told == [
        (SERVICE, "api-1", BreakerState.OPEN),
        (SERVICE, None, BreakerState.OPEN),
    ]


def test_status_shows_the_states_as_the_last_call_left_them() -> None:
    world = World(2)
    fail_times(world, 5, "api-1")
    assert world.route.instance_breaker_state("api-1") is BreakerState.OPEN
    assert world.route.instance_breaker_state("api-9") is BreakerState.CLOSED
    assert world.route.breaker_state is BreakerState.CLOSED
