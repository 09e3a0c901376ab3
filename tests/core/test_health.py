from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.health import HealthPolicy, HealthTracker, HealthUpdate, ProbeKind, ProbeResult
from msctl.model import Health
from tests.core.instances import FixedRandom

OK = ProbeResult(ProbeKind.OK, "answered 200", 200)
DEGRADED = ProbeResult(ProbeKind.DEGRADED, "answered 200, degraded", 200)
UNAVAILABLE = ProbeResult(ProbeKind.UNAVAILABLE, "answered 503", 503)
NOT_FOUND = ProbeResult(ProbeKind.NOT_FOUND, "answered 404", 404)
REFUSED = ProbeResult(ProbeKind.FAILED, "connection refused")
UNAUTHORIZED = ProbeResult(ProbeKind.FAILED, "answered 401", 401)
BROKEN = ProbeResult(ProbeKind.FAILED, "answered 500", 500)
MIDDLE = FixedRandom(0.5)


class Checks:
    """Feeds results to a tracker, each when it is due."""

    def __init__(self, *results: ProbeResult, started_at: float = 100.0) -> None:
        self.tracker = HealthTracker(HealthPolicy(), started_at)
        self.now = started_at
        self.see(*results)

    def see(self, *results: ProbeResult) -> list[Health]:
        return [self.check(result).health for result in results]

    def check(self, result: ProbeResult) -> HealthUpdate:
        update = self.tracker.record(result, self.now, MIDDLE)
        self.now += update.delay
        return update


def test_it_is_unknown_before_the_first_check() -> None:
    tracker = Checks().tracker
    assert tracker.health is Health.UNKNOWN
    assert not tracker.settled


def test_the_first_check_that_passes_makes_it_healthy_at_once() -> None:
    checks = Checks(REFUSED, UNAVAILABLE)
    update = checks.check(OK)
    assert (update.previous, update.health, update.changed) == (
        Health.UNKNOWN,
        Health.HEALTHY,
        True,
    )
    assert checks.tracker.settled


@pytest.mark.parametrize("result", [REFUSED, UNAVAILABLE, BROKEN, UNAUTHORIZED])
def test_what_starts_is_not_unhealthy_but_not_yet_known(result: ProbeResult) -> None:
    checks = Checks()
    assert set(checks.see(*[result] * 10)) == {Health.UNKNOWN}
    assert checks.tracker.detail == result.detail


@pytest.mark.parametrize("result", [REFUSED, UNAVAILABLE])
def test_what_starts_is_checked_every_20_ms_for_5_s_and_then_every_quarter_second(
    result: ProbeResult,
) -> None:
    tracker = HealthTracker(HealthPolicy(), started_at=100)
    assert tracker.record(result, 100.5, MIDDLE).delay == 0.02
    assert tracker.record(result, 104.9, MIDDLE).delay == 0.02
    assert tracker.record(result, 105, MIDDLE).delay == 0.25
    assert tracker.record(result, 130, MIDDLE).delay == 0.25


def test_three_failures_in_a_row_make_it_unhealthy() -> None:
    assert Checks(OK).see(REFUSED, BROKEN, REFUSED) == [
        Health.HEALTHY,
        Health.HEALTHY,
        Health.UNHEALTHY,
    ]


def test_a_success_ends_the_row_of_failures() -> None:
    checks = Checks(OK, REFUSED, REFUSED, OK, REFUSED, REFUSED)
    assert checks.tracker.health is Health.HEALTHY


def test_503_makes_it_unhealthy_at_once() -> None:
    assert Checks(OK).see(UNAVAILABLE) == [Health.UNHEALTHY]


def test_a_return_takes_two_successes_in_a_row() -> None:
    checks = Checks(OK, UNAVAILABLE)
    assert checks.see(OK, REFUSED, OK, OK) == [
        Health.UNHEALTHY,
        Health.UNHEALTHY,
        Health.UNHEALTHY,
        Health.HEALTHY,
    ]


def test_it_may_return_degraded() -> None:
    assert Checks(OK, UNAVAILABLE).see(OK, DEGRADED)[-1] is Health.DEGRADED


def test_degraded_comes_and_goes_with_the_answer() -> None:
    assert Checks().see(DEGRADED, OK, DEGRADED) == [
        Health.DEGRADED,
        Health.HEALTHY,
        Health.DEGRADED,
    ]


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 1.8), (0.5, 2.0), (1.0, 2.2)])
def test_a_settled_check_comes_every_two_seconds_with_jitter(chance: float, delay: float) -> None:
    tracker = Checks(OK).tracker
    assert tracker.record(OK, 200, FixedRandom(chance)).delay == pytest.approx(delay)


def test_checks_are_fast_only_until_the_verdict_stands() -> None:
    checks = Checks(OK)
    delays = [checks.check(r).delay for r in (REFUSED, REFUSED, REFUSED, REFUSED, OK, OK, OK)]
    assert delays == [0.25, 0.25, 2, 2, 0.25, 2, 2]


def test_a_verdict_by_503_stands() -> None:
    assert Checks(OK).check(UNAVAILABLE).delay == 2


def test_a_hung_instance_is_out_after_5_7_seconds_at_worst() -> None:
    tracker, latest = Checks(OK).tracker, FixedRandom(1.0)
    hung_at = now = 200.0
    now += tracker.record(OK, now, latest).delay
    while tracker.health is Health.HEALTHY:
        now += tracker.policy.timeout
        delay = tracker.record(REFUSED, now, latest).delay
        if tracker.health is Health.HEALTHY:
            now += delay
    assert now - hung_at == pytest.approx(5.7)


def test_a_hung_instance_under_load_is_out_after_4_5_seconds() -> None:
    tracker, latest = Checks(OK).tracker, FixedRandom(1.0)
    hung_at = now = 200.0
    tracker.record(OK, now, latest)
    now += 1  # an attempt has had no byte for so long
    now += tracker.hurry(now)
    while tracker.health is Health.HEALTHY:
        now += tracker.policy.timeout
        delay = tracker.record(REFUSED, now, latest).delay
        if tracker.health is Health.HEALTHY:
            now += delay
    assert now - hung_at == pytest.approx(4.5)


def test_many_slow_calls_cause_no_more_than_a_fast_check_each_quarter_second() -> None:
    tracker = Checks(OK).tracker
    tracker.record(OK, 200, MIDDLE)
    assert [tracker.hurry(200.0), tracker.hurry(200.1)] == pytest.approx([0.25, 0.15])
    assert tracker.hurry(200.3) == 0


def test_a_hurry_never_puts_a_check_off() -> None:
    checks = Checks(REFUSED)
    assert checks.tracker.hurry(100.01) == pytest.approx(0.01)


def test_a_hurried_check_that_passes_leads_back_to_the_usual_pace() -> None:
    tracker = Checks(OK).tracker
    tracker.hurry(101)
    assert tracker.record(OK, 101, MIDDLE).delay == 2


def test_404_is_a_misconfigured_check_and_any_answer_below_500_passes_from_then_on() -> None:
    checks = Checks()
    first = checks.check(NOT_FOUND)
    assert (first.health, first.warn) == (Health.HEALTHY, True)
    assert checks.tracker.misconfigured
    assert "health_check_path" in checks.tracker.detail
    again = checks.check(NOT_FOUND)
    assert (again.health, again.warn) == (Health.HEALTHY, False)
    assert set(checks.see(*[UNAUTHORIZED] * 5)) == {Health.HEALTHY}


def test_a_misconfigured_check_still_fails_without_an_answer_or_with_500() -> None:
    assert Checks(NOT_FOUND).see(REFUSED, BROKEN, REFUSED)[-1] is Health.UNHEALTHY
    assert Checks(NOT_FOUND).see(UNAVAILABLE) == [Health.UNHEALTHY]


def test_a_check_that_is_not_misconfigured_fails_with_401() -> None:
    assert Checks(OK).see(*[UNAUTHORIZED] * 3)[-1] is Health.UNHEALTHY


def test_a_detail_is_that_of_the_last_check() -> None:
    checks = Checks(OK, REFUSED)
    assert checks.tracker.detail == "connection refused"
    checks.see(OK)
    assert checks.tracker.detail == "answered 200"


def test_its_repr_shows_the_verdict_and_the_present_run() -> None:
    assert repr(Checks(OK, REFUSED, REFUSED).tracker) == (
        "<HealthTracker healthy -2 'connection refused'>"
    )


policies = st.builds(
    HealthPolicy,
    rise=st.integers(1, 5),
    fall=st.integers(1, 5),
    interval=st.floats(0.1, 10),
    fast_interval=st.floats(0.01, 1),
)
passing, failing = st.sampled_from([OK, DEGRADED]), st.sampled_from([REFUSED, BROKEN, UNAUTHORIZED])


@given(policies, st.lists(st.one_of(passing, failing), max_size=40))
def test_the_verdict_changes_by_full_runs_only(
    policy: HealthPolicy, results: list[ProbeResult]
) -> None:
    tracker = HealthTracker(policy, started_at=0)
    passed = failed = 0
    for now, result in enumerate(results):
        good = result in {OK, DEGRADED}
        passed, failed = (passed + 1, 0) if good else (0, failed + 1)
        update = tracker.record(result, now, MIDDLE)
        was_out, is_out = (h is Health.UNHEALTHY for h in (update.previous, update.health))
        if update.previous is Health.UNKNOWN:
            assert update.health is (Health.UNKNOWN if not good else update.health)
            assert (update.health is not Health.UNKNOWN) == good
        elif was_out:
            assert is_out == (passed < policy.rise)
        else:
            assert is_out == (failed >= policy.fall)
        assert update.changed == (update.health is not update.previous)


@given(policies, st.lists(st.one_of(passing, failing, st.just(NOT_FOUND)), max_size=20))
def test_503_puts_out_whatever_was_before_unless_it_was_never_healthy(
    policy: HealthPolicy, results: list[ProbeResult]
) -> None:
    tracker = HealthTracker(policy, started_at=0)
    for now, result in enumerate(results):
        tracker.record(result, now, MIDDLE)
    known = tracker.health is not Health.UNKNOWN
    update = tracker.record(UNAVAILABLE, len(results), MIDDLE)
    assert update.health is (Health.UNHEALTHY if known else Health.UNKNOWN)


@given(
    policies,
    st.lists(st.one_of(passing, failing, st.just(UNAVAILABLE)), max_size=30),
    st.integers(),
    st.floats(0, 3),
)
def test_the_next_check_is_always_within_the_bounds_of_the_policy(
    policy: HealthPolicy, results: list[ProbeResult], seed: int, later: float
) -> None:
    tracker, random, now = HealthTracker(policy, started_at=0), Random(seed), 0.0
    for result in results:
        delay = tracker.record(result, now, random).delay
        allowed = {policy.start_interval, policy.fast_interval}
        assert delay in allowed or abs(delay - policy.interval) <= 0.1001 * policy.interval
        assert 0 <= tracker.hurry(now + later) <= max(delay - later, 0) + 1e-9
        now += delay
