"""Which calls are sent again, where, when and how often (router.md, What counts, Retries)."""

import pytest

from msctl.core.router import (
    Again,
    LimitOptions,
    Outcome,
    Reason,
    Refusal,
    Relay,
    RetryOptions,
    RoutePolicy,
    Wait,
)
from msctl.model import Health, ServiceStatus
from tests.core.routes import GET, POST, World


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_errors_of_idempotent_calls_are_tried_elsewhere(status: int) -> None:
    world = World(2)
    call = world.begin(GET)
    first = world.lease(call)
    assert world.answer(call, first, status) == Again(0)
    assert first.released
    second = world.lease(call)
    assert second.instance.id != first.instance.id
    assert world.answer(call, second, 200) == Relay()
    assert call.attempts == 2
    call.finish(world.now)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_without_another_instance_the_answer_is_relayed_as_it_is(status: int) -> None:
    world = World(1)
    call = world.begin(GET)
    assert world.answer(call, world.lease(call), status) == Relay()
    call.finish(world.now)


@pytest.mark.parametrize("status", [200, 404, 429, 500, 501])
def test_other_answers_are_relayed_as_they_are(status: int) -> None:
    world = World(2)
    call = world.begin(GET)
    assert world.answer(call, world.lease(call), status) == Relay()
    call.finish(world.now)


def test_a_post_is_sent_again_only_if_it_was_never_sent() -> None:
    world = World(3)
    for outcome in (Outcome.RESET, Outcome.LOST):
        call = world.begin(POST)
        assert isinstance(world.fail(call, world.lease(call), outcome), Refusal)
    call = world.begin(POST)
    assert world.answer(call, world.lease(call), 503) == Relay()
    call.finish(world.now)
    call = world.begin(POST)
    assert world.fail(call, world.lease(call), Outcome.NOT_SENT) == Again(0)
    call.finish(world.now)


@pytest.mark.parametrize("outcome", [Outcome.RESET, Outcome.LOST])
def test_an_idempotent_call_that_was_cut_off_is_sent_elsewhere(outcome: Outcome) -> None:
    world = World(2)
    call = world.begin(GET)
    first = world.lease(call)
    assert world.fail(call, first, outcome) == Again(0)
    assert world.lease(call).instance.id != first.instance.id
    call.finish(world.now)


@pytest.mark.parametrize(
    ("outcome", "reason", "status"),
    [
        (Outcome.MALFORMED, Reason.BAD_RESPONSE, 502),
        (Outcome.TIMED_OUT, Reason.TIMEOUT, 504),
        (Outcome.CLIENT_GONE, Reason.UPSTREAM_RESET, 502),
    ],
)
def test_these_are_never_sent_again(outcome: Outcome, reason: Reason, status: int) -> None:
    world = World(3)
    call = world.begin(GET)
    refusal = world.fail(call, world.lease(call), outcome)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (reason, status)


def test_nothing_is_sent_again_once_it_cannot_be_replayed() -> None:
    world = World(3)
    call = world.begin(GET)
    refusal = world.fail(call, world.lease(call), Outcome.RESET, can_replay=False)
    assert isinstance(refusal, Refusal)
    call = world.begin(GET)
    lease = world.lease(call)
    assert call.answered(lease, 503, None, world.now, can_replay=False) == Relay()
    call.finish(world.now)


def test_three_attempts_each_on_an_instance_not_tried_before() -> None:
    world = World(5)
    call = world.begin(GET)
    tried = []
    for _ in range(2):
        lease = world.lease(call)
        tried.append(lease.instance.id)
        assert isinstance(world.fail(call, lease, Outcome.RESET), Again)
    last = world.lease(call)
    tried.append(last.instance.id)
    refusal = world.fail(call, last, Outcome.RESET)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (Reason.UPSTREAM_RESET, 502)
    assert len(set(tried)) == call.attempts == 3


def test_the_first_retry_comes_at_once_and_later_ones_after_25_to_250_ms() -> None:
    world = World(5, RoutePolicy(retries=RetryOptions(attempts=5)))
    delays = []
    for _ in range(20):
        call = world.begin(GET)
        for _ in range(3):
            again = world.fail(call, world.lease(call), Outcome.LOST)
            assert isinstance(again, Again)
            delays.append(again.delay)
            world.route.breaker.reset(world.now)
            for number in range(1, 6):
                world.route.instance_breaker(f"api-{number}").reset(world.now)
        call.finish(world.now)
    assert set(delays[::3]) == {0}
    later = [delay for number, delay in enumerate(delays) if number % 3]
    assert all(0.025 <= delay <= 0.25 for delay in later)
    assert len(set(later)) > 1


def test_no_retry_is_begun_that_the_deadline_would_cut_off() -> None:
    world = World(3)
    call = world.begin(GET)
    assert world.fail(call, world.lease(call), Outcome.RESET) == Again(0)
    lease = world.lease(call)
    world.now = call.deadline - 0.02
    assert isinstance(world.fail(call, lease, Outcome.RESET), Refusal)


def test_retries_that_are_off_leave_one_attempt() -> None:
    world = World(3, RoutePolicy(retries=None))
    call = world.begin(GET)
    assert world.answer(call, world.lease(call), 503) == Relay()
    call.finish(world.now)
    call = world.begin(GET)
    assert isinstance(world.fail(call, world.lease(call), Outcome.NOT_SENT), Refusal)


def test_the_budget_limits_retries_but_not_what_was_never_sent() -> None:
    policy = RoutePolicy(breaker=None, retries=RetryOptions(min_per_second=0, budget=0.2))
    world = World(2, policy)
    repeated = 0
    for _ in range(20):
        call = world.begin(GET)
        repeated += isinstance(world.fail(call, world.lease(call), Outcome.RESET), Again)
        call.finish(world.now)
    assert repeated == 4
    call = world.begin(GET)
    assert world.fail(call, world.lease(call), Outcome.NOT_SENT) == Again(0)
    call.finish(world.now)


def test_calls_of_an_instance_that_left_rotation_move_without_the_budget() -> None:
    policy = RoutePolicy(breaker=None, retries=RetryOptions(min_per_second=0, budget=0))
    world = World(2, policy)
    calls = [world.begin(GET) for _ in range(50)]
    for call in calls:
        assert world.fail(call, world.lease(call), Outcome.LOST) == Again(0)
        call.finish(world.now)
    call = world.begin(POST)
    assert isinstance(world.fail(call, world.lease(call), Outcome.LOST), Refusal)


def test_a_closed_kept_connection_is_nobodys_fault_and_is_repeated_on_a_fresh_one() -> None:
    world = World(1)
    call = world.begin(GET)
    stale = world.lease(call)
    assert not stale.fresh
    assert world.fail(call, stale, Outcome.STALE_CONNECTION) == Again(0)
    fresh = world.lease(call)
    assert fresh.fresh
    assert fresh.instance.id == stale.instance.id
    assert call.attempts == 1
    assert world.answer(call, fresh, 200) == Relay()
    call.finish(world.now)
    breaker = world.route.instance_breaker("api-1").snapshot(world.now)
    assert (breaker.calls, breaker.failures) == (1, 0)


def test_it_is_repeated_once_and_only_when_idempotent() -> None:
    world = World(1)
    call = world.begin(POST)
    refusal = world.fail(call, world.lease(call), Outcome.STALE_CONNECTION)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UPSTREAM_RESET
    assert world.route.breaker.snapshot(world.now).calls == 0
    call = world.begin(GET)
    world.fail(call, world.lease(call), Outcome.STALE_CONNECTION)
    world.fail(call, world.lease(call), Outcome.STALE_CONNECTION)
    assert world.route.instance_breaker("api-1").snapshot(world.now).failures == 1
    call.finish(world.now)


def test_when_the_only_instance_crashed_the_call_waits_for_its_successor() -> None:
    world = World(1)
    call = world.begin(GET)
    assert world.fail(call, world.lease(call), Outcome.RESET) == Again(0)
    assert world.wait(call) == Wait(world.now + 0.25), "the registry is about to hear of it"
    world.add(1, generation=2, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    assert world.wait(call) == Wait(world.now + 3)
    world.change("api-1", status=ServiceStatus.RUNNING, health=Health.HEALTHY)
    lease = world.lease(call)
    assert lease.instance.generation == 2
    assert world.answer(call, lease, 200) == Relay()
    call.finish(world.now)
    assert world.route.breaker.snapshot(world.now).failures == 0


def test_when_nobody_is_left_the_last_failure_is_the_answer() -> None:
    world = World(1)
    call = world.begin(GET)
    assert world.fail(call, world.lease(call), Outcome.NOT_SENT) == Again(0)
    world.now = world.wait(call).until
    refusal = call.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (Reason.CONNECT_FAILED, 502)
    assert world.route.breaker.snapshot(world.now).failures == 1, "a failure if final"


def test_an_answer_given_up_for_a_retry_that_found_nobody_keeps_its_status() -> None:
    world = World(2)
    call = world.begin(GET)
    first = world.lease(call)
    assert world.answer(call, first, 503) == Again(0)
    for name in ("api-1", "api-2"):
        world.change(name, status=ServiceStatus.STOPPED)
    refusal = call.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (Reason.BAD_RESPONSE, 503)


def test_a_deadline_that_ends_a_retried_call_is_a_timeout_and_a_failure() -> None:
    world = World(2)
    call = world.begin(GET)
    assert isinstance(world.fail(call, world.lease(call), Outcome.RESET), Again)
    world.now = call.deadline
    refusal = call.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (Reason.TIMEOUT, 504)
    assert world.route.breaker.snapshot(world.now).failures == 1


def test_a_retry_goes_where_there_is_room() -> None:
    world = World(2, RoutePolicy(limits=LimitOptions(per_instance=1)))
    busy = world.begin()
    held = world.lease(busy)
    call = world.begin(GET)
    assert world.answer(call, world.lease(call), 503) == Relay(), "the other one is full"
    held.release(world.now)
    busy.finish(world.now)
    call.finish(world.now)
