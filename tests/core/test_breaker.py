"""The breaker's rules, one by one, with a clock that only the test moves (router.md, Breaker)."""

from dataclasses import replace

import pytest

from msctl.core.breaker import (
    NEVER_OPENS,
    TRANSITIONS,
    BreakerOptions,
    CircuitBreaker,
    Permit,
    Transition,
)
from msctl.core.breaker_machine import BreakerMachine
from msctl.core.outcome import Verdict
from msctl.errors import IllegalTransition
from msctl.model import BreakerState
from tests.core.fake_clock import FakeClock
from tests.core.instances import FixedRandom

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def make(options: BreakerOptions | None = None, *, chance: float = 0.0) -> CircuitBreaker:
    return CircuitBreaker(options=options, random=FixedRandom(chance), clock=FakeClock())


def acquire(breaker: CircuitBreaker, now: float) -> Permit:
    permit = breaker.try_acquire(now)
    assert permit is not None, f"{breaker!r} admits nothing at {now}"
    return permit


def feed(breaker: CircuitBreaker, now: float, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        acquire(breaker, now).release(verdict, now)


def failures(count: int) -> list[Verdict]:
    return [Verdict.FAILURE] * count


def opened(options: BreakerOptions | None = None, now: float = 0.0) -> CircuitBreaker:
    breaker = make(options)
    feed(breaker, now, *failures(5))
    assert breaker.state(now) is OPEN
    return breaker


def test_it_opens_on_the_threshold_of_failures_in_a_row() -> None:
    breaker = make()
    feed(breaker, 0, *failures(4))
    assert breaker.state(0) is CLOSED
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN
    assert breaker.try_acquire(0) is None


def test_a_success_ends_the_run_of_failures() -> None:
    breaker = make(BreakerOptions(failure_rate=None))
    feed(breaker, 0, *failures(4), Verdict.SUCCESS, *failures(4))
    assert breaker.state(0) is CLOSED


def test_a_4xx_neither_adds_to_the_run_nor_ends_it() -> None:
    breaker = make(BreakerOptions(failure_rate=None))
    feed(breaker, 0, *failures(4), *[Verdict.ALIVE] * 20)
    assert breaker.state(0) is CLOSED
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN


def test_half_of_the_minimum_of_calls_within_the_window_opens_it() -> None:
    breaker = make()
    feed(breaker, 0, *[Verdict.FAILURE, Verdict.SUCCESS] * 4, Verdict.SUCCESS)
    assert breaker.state(0) is CLOSED
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN


def test_below_the_minimum_of_calls_the_rate_says_nothing() -> None:
    breaker = make(BreakerOptions(failure_threshold=None))
    feed(breaker, 0, *failures(9))
    assert breaker.state(0) is CLOSED


def test_a_success_that_completes_the_minimum_does_not_open() -> None:
    breaker = make(BreakerOptions(failure_threshold=None))
    feed(breaker, 0, *failures(9), Verdict.SUCCESS)
    assert breaker.state(0) is CLOSED
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN


def test_what_is_older_than_the_window_does_not_count() -> None:
    breaker = make(BreakerOptions(failure_threshold=None))
    feed(breaker, 0.5, *failures(9))
    feed(breaker, 10.0, Verdict.FAILURE)
    assert breaker.snapshot(10.0).calls == 1
    assert breaker.state(10.0) is CLOSED


def test_a_4xx_is_good_in_the_rate() -> None:
    breaker = make(BreakerOptions(failure_threshold=None))
    feed(breaker, 0, *[Verdict.ALIVE] * 11, *failures(10))
    assert breaker.state(0) is CLOSED
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN


def test_a_429_counts_against_the_rate_only() -> None:
    run_only = make(BreakerOptions(failure_rate=None))
    feed(run_only, 0, *[Verdict.THROTTLED] * 20)
    assert run_only.state(0) is CLOSED
    both = make()
    feed(both, 0, *[Verdict.THROTTLED] * 9)
    assert both.state(0) is CLOSED
    feed(both, 0, Verdict.THROTTLED)
    assert both.state(0) is OPEN


def test_an_abandoned_call_counts_nothing() -> None:
    breaker = make()
    feed(breaker, 0, *failures(4), *[Verdict.ABANDONED] * 50)
    assert breaker.snapshot(0).calls == 4
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN


@pytest.mark.parametrize("verdict", [Verdict.SUCCESS, Verdict.ALIVE, Verdict.THROTTLED])
def test_one_good_probe_closes_an_instance(verdict: Verdict) -> None:
    breaker = opened()
    assert breaker.state(4.999) is OPEN
    assert breaker.state(5) is HALF_OPEN
    feed(breaker, 5, verdict)
    assert breaker.state(5) is CLOSED


def test_half_open_admits_one_probe_at_a_time() -> None:
    breaker = opened()
    probe = acquire(breaker, 5)
    assert breaker.try_acquire(5) is None
    probe.release(Verdict.ABANDONED, 6)
    assert breaker.state(6) is HALF_OPEN
    assert breaker.try_acquire(6) is not None


def test_a_service_admits_three_probes_and_closes_on_three_successes() -> None:
    breaker = make(BreakerOptions().at_service_level())
    feed(breaker, 0, *failures(20))
    probes = [acquire(breaker, 5) for _ in range(3)]
    assert breaker.try_acquire(5) is None
    probes[0].release(Verdict.SUCCESS, 5)
    assert breaker.try_acquire(5) is None, "one good and two out are three already"
    probes[1].release(Verdict.SUCCESS, 5)
    assert breaker.state(5) is HALF_OPEN
    probes[2].release(Verdict.SUCCESS, 5)
    assert breaker.state(5) is CLOSED


def test_any_failed_probe_opens_it_again_and_the_others_change_nothing() -> None:
    breaker = make(BreakerOptions().at_service_level())
    feed(breaker, 0, *failures(20))
    probes = [acquire(breaker, 5) for _ in range(3)]
    probes[0].release(Verdict.SUCCESS, 5)
    probes[1].release(Verdict.FAILURE, 5)
    assert breaker.state(5) is OPEN
    probes[2].release(Verdict.SUCCESS, 5)
    assert breaker.state(5) is OPEN


def test_a_service_needs_twice_the_calls_and_no_run_opens_it() -> None:
    breaker = make(BreakerOptions().at_service_level())
    feed(breaker, 0, *failures(19))
    assert breaker.state(0) is CLOSED
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.state(0) is OPEN


def test_open_time_doubles_with_every_failed_probe_up_to_the_timeout() -> None:
    breaker = opened()
    now, waits = 0.0, []
    for _ in range(6):
        wait = breaker.retry_after(now)
        assert wait is not None
        waits.append(wait)
        now += wait
        feed(breaker, now, Verdict.FAILURE)
    assert waits == [5, 10, 20, 40, 60, 60]


def test_a_timeout_below_the_first_open_time_caps_it() -> None:
    breaker = CircuitBreaker(failure_threshold=1, timeout=2, random=FixedRandom(0))
    feed(breaker, 0, Verdict.FAILURE)
    assert breaker.retry_after(0) == 2


def test_jitter_makes_it_up_to_half_as_long_again() -> None:
    breaker = make(chance=0.999)
    feed(breaker, 0, *failures(5))
    assert breaker.retry_after(0) == pytest.approx(5 * 1.4995)


def test_every_ten_seconds_closed_take_one_doubling_back() -> None:
    breaker = opened()
    feed(breaker, 5, Verdict.FAILURE)
    feed(breaker, 15, Verdict.SUCCESS)
    feed(breaker, 25, *failures(5))
    assert breaker.retry_after(25) == 10, "two openings, ten seconds closed: 5 times 2 to the 1"
    feed(breaker, 35, Verdict.SUCCESS)
    feed(breaker, 135, *failures(5))
    assert breaker.retry_after(135) == 5


def test_a_result_from_an_older_generation_changes_nothing() -> None:
    breaker = make()
    late = [acquire(breaker, 0) for _ in range(10)]
    feed(breaker, 0, *failures(5))
    before = breaker.snapshot(1)
    for permit in late:
        permit.release(Verdict.FAILURE, 1)
    assert breaker.snapshot(1) == before
    feed(breaker, 5, Verdict.SUCCESS)
    assert breaker.snapshot(6).calls == 0


def test_late_results_while_open_do_not_extend_the_wait() -> None:
    breaker = make()
    late = acquire(breaker, 0)
    feed(breaker, 0, *failures(5))
    late.release(Verdict.FAILURE, 4)
    assert breaker.retry_after(4) == pytest.approx(1)


def test_every_transition_bumps_the_generation() -> None:
    breaker = make()
    seen = [breaker.generation]
    feed(breaker, 0, *failures(5))
    seen.append(breaker.generation)
    breaker.state(5)
    seen.append(breaker.generation)
    feed(breaker, 5, Verdict.SUCCESS)
    seen.append(breaker.generation)
    breaker.force_open(6)
    seen.append(breaker.generation)
    breaker.auto(7)
    seen.append(breaker.generation)
    assert seen == sorted(set(seen))


def test_a_probe_that_is_never_given_back_counts_as_a_failure() -> None:
    breaker = opened()
    assert breaker.try_acquire(5, limit=31) is not None
    assert breaker.state(35.9) is HALF_OPEN
    assert breaker.state(36) is OPEN
    assert breaker.retry_after(36) == 10
    assert breaker.try_acquire(46) is not None, "half-open can never wedge"


def test_a_permit_counts_once() -> None:
    breaker = make()
    permit = acquire(breaker, 0)
    for _ in range(9):
        permit.release(Verdict.FAILURE, 0)
    assert breaker.snapshot(0).calls == 1
    permit.release(Verdict.SUCCESS, 0)
    assert breaker.snapshot(0).failures == 1


def test_a_broken_body_is_one_more_failure() -> None:
    breaker = make()
    permit = acquire(breaker, 0)
    permit.broken(0)
    assert breaker.snapshot(0).calls == 0, "not judged yet"
    permit.release(Verdict.SUCCESS, 0)
    permit.broken(1)
    snapshot = breaker.snapshot(1)
    assert (snapshot.calls, snapshot.failures, snapshot.failures_in_a_row) == (2, 1, 1)


def test_one_refused_connection_opens_it() -> None:
    breaker = make()
    acquire(breaker, 0).unreachable(0)
    assert breaker.state(0) is OPEN
    assert breaker.unreachable


def test_a_passed_health_check_ends_an_ejection_for_refused_connections() -> None:
    breaker = make()
    acquire(breaker, 0).unreachable(0)
    breaker.health_passed(1)
    assert breaker.state(1) is CLOSED


def test_a_passed_health_check_does_not_end_one_for_failures() -> None:
    breaker = opened()
    breaker.health_passed(1)
    assert breaker.state(1) is OPEN
    breaker.health_passed(6)
    assert breaker.state(6) is HALF_OPEN


def test_a_cap_keeps_it_closed_but_over_its_threshold() -> None:
    capped = CircuitBreaker(random=FixedRandom(0), may_open=lambda: False)
    feed(capped, 0, *failures(7))
    assert capped.state(0) is CLOSED
    assert capped.over_threshold(0)
    feed(capped, 0, *[Verdict.SUCCESS] * 8)
    assert not capped.over_threshold(0)


def test_the_cap_does_not_hold_for_what_is_known_to_be_dead() -> None:
    capped = CircuitBreaker(random=FixedRandom(0), may_open=lambda: False)
    acquire(capped, 0).unreachable(0)
    assert capped.state(0) is OPEN


def test_closed_by_the_route_it_has_a_fresh_window() -> None:
    breaker = opened()
    breaker.close(1, "every instance has been replaced")
    assert breaker.state(1) is CLOSED
    feed(breaker, 1, *failures(4))
    assert breaker.state(1) is CLOSED


def test_tripped_by_the_route_it_is_open_like_any_other() -> None:
    breaker = make()
    breaker.trip(0, "every instance is over its threshold")
    assert breaker.retry_after(0) == 5
    breaker.trip(1, "again")
    assert breaker.retry_after(1) == 4


def test_forced_open_admits_nothing_until_auto() -> None:
    breaker = make()
    breaker.force_open(0)
    assert breaker.state(10_000) is BreakerState.FORCED_OPEN
    assert breaker.try_acquire(10_000) is None
    assert breaker.retry_after(10_000) is None, "nobody knows when it ends"
    breaker.auto(10_001)
    assert breaker.state(10_001) is CLOSED


def test_a_forcing_with_a_time_ends_by_itself() -> None:
    breaker = make()
    breaker.force_open(0, for_=30)
    assert breaker.retry_after(10) == 20
    assert breaker.state(29.9) is BreakerState.FORCED_OPEN
    assert breaker.state(30) is CLOSED


def test_forced_closed_admits_everything_and_counts_nothing() -> None:
    breaker = make()
    breaker.force_closed(0)
    feed(breaker, 0, *failures(50))
    acquire(breaker, 0).unreachable(0)
    assert breaker.state(0) is BreakerState.FORCED_CLOSED
    breaker.auto(1)
    assert breaker.snapshot(1).calls == 0


def test_a_forcing_replaces_another_and_a_new_time_replaces_the_old() -> None:
    breaker = make()
    breaker.force_open(0, for_=5)
    breaker.force_open(1)
    assert breaker.state(100) is BreakerState.FORCED_OPEN
    breaker.force_closed(100)
    assert breaker.try_acquire(100) is not None


def test_auto_does_nothing_to_a_breaker_that_is_not_forced() -> None:
    breaker = opened()
    breaker.auto(1)
    assert breaker.state(1) is OPEN


def test_reset_forgets_everything() -> None:
    breaker = opened()
    feed(breaker, 5, Verdict.FAILURE)
    under_way = acquire(breaker, 15)
    breaker.reset(16)
    under_way.release(Verdict.FAILURE, 16)
    snapshot = breaker.snapshot(16)
    assert (snapshot.state, snapshot.calls, snapshot.failures_in_a_row) == (CLOSED, 0, 0)
    feed(breaker, 16, *failures(5))
    assert breaker.retry_after(16) == 5


def test_reset_of_a_closed_breaker_drops_its_counts_and_calls_under_way() -> None:
    breaker = make()
    feed(breaker, 0, *failures(4))
    under_way = acquire(breaker, 0)
    breaker.reset(0)
    under_way.release(Verdict.FAILURE, 0)
    assert breaker.snapshot(0).calls == 0


def test_a_breaker_that_is_off_never_opens_by_itself() -> None:
    breaker = make(NEVER_OPENS)
    feed(breaker, 0, *failures(100))
    acquire(breaker, 0).unreachable(0)
    assert breaker.state(0) is CLOSED
    breaker.force_open(0)
    assert breaker.try_acquire(0) is None


def test_listeners_are_told_in_order_and_may_raise_or_change_the_breaker() -> None:
    breaker = make()
    seen: list[Transition] = []

    def fails(transition: Transition) -> None:
        raise RuntimeError(transition.reason)

    def closes(transition: Transition) -> None:
        if transition.after is OPEN:
            breaker.force_closed(transition.at)

    breaker.on_transition(fails)
    breaker.on_transition(closes)
    unsubscribe = breaker.on_transition(seen.append)
    feed(breaker, 1, *failures(5))
    states = [(t.before, t.after) for t in seen]
    assert states == [(CLOSED, OPEN), (OPEN, BreakerState.FORCED_CLOSED)]
    assert seen[0].reason == "5 failures in a row"
    assert seen[0].at == 1
    unsubscribe()
    breaker.auto(2)
    assert len(seen) == 2


def test_what_time_brings_about_happens_at_its_own_time() -> None:
    breaker = opened()
    seen: list[Transition] = []
    breaker.on_transition(seen.append)
    breaker.try_acquire(100)
    assert [(t.after, t.at) for t in seen] == [(HALF_OPEN, 5)]


def test_an_illegal_transition_raises_and_changes_nothing() -> None:
    machine = BreakerMachine(BreakerOptions(), FixedRandom(0), lambda _: None)
    for state in BreakerState:
        if state in TRANSITIONS[CLOSED]:
            continue
        with pytest.raises(IllegalTransition):
            machine._move(state, 0, "test")
        assert (machine.state, machine.generation) == (CLOSED, 0)


def test_every_state_has_a_row_in_the_table() -> None:
    assert TRANSITIONS.keys() == set(BreakerState)


@pytest.mark.parametrize("name", ["timeout", "failure_threshold", "failure_rate", "probes"])
def test_numbers_with_which_it_could_not_work_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        replace(BreakerOptions(), **{name: 0})


def test_presets_read_what_a_user_configured() -> None:
    numbers = BreakerOptions(failure_threshold=3, timeout=7, minimum_calls=4, window=20)
    assert CircuitBreaker.for_instance(numbers, name="a").options == numbers
    service = CircuitBreaker.for_service(numbers).options
    assert (service.failure_threshold, service.minimum_calls) == (None, 8)
    assert (service.probes, service.successes, service.timeout) == (3, 3, 7)


def test_probing_since_tells_how_long_a_probe_has_been_wanted() -> None:
    breaker = opened()
    assert breaker.probing_since() is None
    breaker.admits(7)
    assert breaker.probing_since() == 5
