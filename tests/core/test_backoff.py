from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.models import RestartPolicy
from msctl.core.backoff import RestartAction, RestartDecision, RestartTracker, describe_exit
from tests.core.instances import FixedRandom

ON_FAILURE, ALWAYS, NO = RestartPolicy.ON_FAILURE, RestartPolicy.ALWAYS, RestartPolicy.NO
MIDDLE = FixedRandom(0.5)


class Life:
    """Lets one instance live and crash, on a clock of its own."""

    def __init__(self, tracker: RestartTracker) -> None:
        self.tracker = tracker
        self.now = 1000.0

    def run(
        self, *, boot: float = 1.0, healthy: float | None = None, code: int | None = 1
    ) -> RestartDecision:
        """Start it, be healthy after `boot` seconds for `healthy` ones (None: never), exit."""
        self.tracker.started(self.now)
        self.now += boot
        if healthy is not None:
            self.tracker.healthy(self.now)
            self.now += healthy
        decision = self.tracker.exited(code, self.now, MIDDLE)
        self.now += decision.delay
        return decision


def proven(policy: RestartPolicy = ON_FAILURE, max_retries: int | None = None) -> Life:
    """Return an instance that was healthy for long and then crashed once."""
    life = Life(RestartTracker(policy, max_retries))
    assert life.run(healthy=100).action is RestartAction.RESTART
    return life


def test_a_crash_after_ten_seconds_healthy_is_restarted_at_once() -> None:
    life = Life(RestartTracker(ON_FAILURE))
    for _ in range(20):
        decision = life.run(healthy=10)
        assert (decision.action, decision.delay) == (RestartAction.RESTART, 0)


def test_a_crash_after_less_is_restarted_after_a_second() -> None:
    decision = Life(RestartTracker(ON_FAILURE)).run(healthy=9.9)
    assert (decision.action, decision.delay) == (RestartAction.RESTART, 1)


def test_delays_double_up_to_thirty_seconds() -> None:
    life = Life(RestartTracker(ON_FAILURE))
    # Up for 12 s but healthy for 5: not proven, and not a quick crash either.
    delays = [life.run(boot=7, healthy=5).delay for _ in range(8)]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]


def test_delays_begin_anew_after_a_minute_healthy() -> None:
    life = proven()
    assert [life.run(healthy=5).delay for _ in range(3)] == [1, 2, 4]
    assert life.run(healthy=59).delay == 0
    assert life.run(healthy=5).delay == 8
    assert life.run(healthy=60).delay == 0
    assert life.run(healthy=5).delay == 1


def test_five_quick_crashes_in_a_row_are_an_error() -> None:
    life = proven()
    for _ in range(4):
        assert life.run(boot=0.5, healthy=9).action is RestartAction.RESTART
    decision = life.run(boot=0.5, healthy=9)
    assert decision.action is RestartAction.FAIL
    assert decision.reason == "5 quick crashes in a row"


@pytest.mark.parametrize("boot", [0.1, 300.0])
def test_a_process_that_was_never_healthy_crashed_quickly_however_long_it_took(boot: float) -> None:
    life = proven()
    actions = [life.run(boot=boot).action for _ in range(5)]
    assert actions == [RestartAction.RESTART] * 4 + [RestartAction.FAIL]


def test_a_longer_life_ends_the_row_of_quick_crashes() -> None:
    life = proven()
    for _ in range(3):
        for _ in range(4):
            assert life.run(healthy=1).action is RestartAction.RESTART
        assert life.run(boot=7, healthy=5).action is RestartAction.RESTART


def test_always_gives_up_after_five_quick_crashes_too() -> None:
    life = Life(RestartTracker(ALWAYS))
    actions = [life.run().action for _ in range(5)]
    assert actions == [RestartAction.RESTART] * 4 + [RestartAction.FAIL]


@pytest.mark.parametrize("code", [0, 1, -9, None])
def test_an_exit_before_it_was_ever_healthy_is_a_startup_failure(code: int | None) -> None:
    decision = Life(RestartTracker(ON_FAILURE)).run(code=code)
    assert decision.action is RestartAction.FAIL
    assert decision.reason == "it was never healthy"


@pytest.mark.parametrize("code", [0, 1, -9, None])
@pytest.mark.parametrize(
    "tracker_of",
    [lambda: RestartTracker(ON_FAILURE, retry_startup=True), lambda: RestartTracker(ALWAYS)],
    ids=["--no-wait", "always"],
)
def test_a_startup_failure_is_retried_only_when_nobody_waits_or_with_always(
    tracker_of: Callable[[], RestartTracker], code: int | None
) -> None:
    decision = Life(tracker_of()).run(code=code)
    assert (decision.action, decision.delay) == (RestartAction.RESTART, 1)


def test_a_restart_that_fails_to_start_is_a_crash_once_the_instance_was_healthy() -> None:
    life = proven()
    assert life.run().action is RestartAction.RESTART


def test_a_job_that_exits_with_zero_is_completed_even_if_it_was_never_checked() -> None:
    assert Life(RestartTracker(NO)).run(code=0).action is RestartAction.COMPLETED
    assert Life(RestartTracker(NO)).run(healthy=1, code=0).action is RestartAction.COMPLETED


def test_a_job_under_on_failure_is_completed_by_zero_and_retried_otherwise() -> None:
    life = Life(RestartTracker(ON_FAILURE, job=True))
    assert life.run(healthy=1, code=1).action is RestartAction.RESTART
    assert life.run(healthy=1, code=0).action is RestartAction.COMPLETED


def test_no_restarts_nothing() -> None:
    life = Life(RestartTracker(NO, retry_startup=True))
    decision = life.run(healthy=100, code=1)
    assert (decision.action, decision.reason) == (RestartAction.FAIL, "restart: no")
    assert life.run(code=1).action is RestartAction.FAIL


def test_on_failure_leaves_a_good_end_alone() -> None:
    life = Life(RestartTracker(ON_FAILURE))
    assert life.run(healthy=100, code=0).action is RestartAction.STOPPED


def test_always_restarts_after_a_good_end() -> None:
    life = Life(RestartTracker(ALWAYS, job=True))
    assert life.run(healthy=100, code=0).action is RestartAction.RESTART


def test_so_many_retries_and_no_more() -> None:
    life = Life(RestartTracker(ON_FAILURE, max_retries=3))
    actions = [life.run(healthy=20).action for _ in range(4)]
    assert actions == [RestartAction.RESTART] * 3 + [RestartAction.FAIL]


def test_retries_count_anew_after_a_minute_healthy() -> None:
    life = Life(RestartTracker(ON_FAILURE, max_retries=1))
    assert life.run(healthy=20).action is RestartAction.RESTART
    assert life.run(healthy=60).action is RestartAction.RESTART
    decision = life.run(healthy=20)
    assert (decision.action, decision.reason) == (RestartAction.FAIL, "no retry left of 1")


def test_only_a_stretch_without_a_gap_proves_an_instance() -> None:
    tracker = RestartTracker(ON_FAILURE)
    tracker.started(0)
    tracker.healthy(1)
    tracker.healthy(5)
    tracker.unhealthy(9)
    tracker.healthy(20)
    assert tracker.exited(1, 28, MIDDLE).delay == 1


def test_it_stays_proven_when_it_turned_unhealthy_later() -> None:
    tracker = RestartTracker(ON_FAILURE)
    tracker.started(0)
    tracker.healthy(1)
    tracker.unhealthy(12)
    tracker.healthy(13)
    tracker.unhealthy(14)
    assert tracker.exited(1, 30, MIDDLE).delay == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "killed by SIGKILL"),
        (-63, "killed by signal 63"),
    ],
)
def test_an_exit_is_described_by_its_code_or_signal(code: int, words: str) -> None:
    assert describe_exit(code) == words


lives = st.lists(
    st.tuples(st.floats(0, 40), st.one_of(st.none(), st.floats(0, 90)), st.integers(-15, 255)),
    max_size=40,
)


@given(lives, st.integers())
def test_delays_stay_within_bounds(runs: list[tuple[float, float | None, int]], seed: int) -> None:
    tracker, random, now = RestartTracker(ALWAYS), Random(seed), 0.0
    doublings = quick = 0
    for boot, healthy, code in runs:
        tracker.started(now)
        now += boot
        if healthy is not None:
            tracker.healthy(now)
        exit_at = now + (healthy or 0)
        seen_healthy = exit_at - now if healthy is not None else -1
        uptime = exit_at - (now - boot)
        now = exit_at
        decision = tracker.exited(code, now, random)
        quick = quick + 1 if healthy is None or uptime < 10 else 0
        assert (decision.action is RestartAction.FAIL) == (quick >= 5)
        if decision.action is RestartAction.FAIL:
            break
        if seen_healthy >= 60:
            doublings = 0
        if seen_healthy >= 10:
            assert decision.delay == 0
        else:
            base = min(2**doublings, 30)
            assert 0.9 * base <= decision.delay <= 1.1 * base
            doublings += 1
        now += decision.delay
