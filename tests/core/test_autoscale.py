"""The autoscaler, on loads that are functions of the time."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from msctl.config.traffic import ScalingConfig
from msctl.core.autoscale import Autoscaler, Decision, Load

STEP = 0.1


class Run:
    """Feeds one autoscaler and does what it says."""

    def __init__(self, config: ScalingConfig, *, replicas: int = 1, cores: int = 8) -> None:
        self.scaler = Autoscaler(config, cores)
        self.replicas = replicas
        self.now = 0.0
        self.served = 0
        self.decisions: list[tuple[float, Decision]] = []

    def go(self, seconds: float, calls: Callable[[float], int]) -> list[int]:
        """Go on for so long; return the numbers that were decided on."""
        before, began = len(self.decisions), self.now
        while self.now < began + seconds - STEP / 2:
            self.now += STEP
            load = calls(self.now - began)
            self.served += load
            self.scaler.observe(Load(load, self.served), self.now)
            if decision := self.scaler.decide(self.replicas, self.now):
                self.decisions.append((self.now, decision))
                self.replicas = decision.replicas
        return [decision.replicas for _, decision in self.decisions[before:]]


def test_a_step_is_followed_within_three_seconds_and_in_one_go() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10))
    assert run.go(10, lambda _: 5) == []
    assert run.go(3, lambda _: 45) == [5]
    assert run.go(60, lambda _: 45) == []


def test_a_spike_that_is_shorter_than_up_after_changes_nothing() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10, up_after=2))
    assert run.go(20, lambda now: 80 if now % 5 < 0.5 else 5) == []


def test_it_goes_down_only_after_down_after_and_with_room() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10, down_after=30), replicas=5)
    assert run.go(29, lambda _: 9) == []
    assert run.go(3, lambda _: 9) == [2]  # nine would fill one: no room
    assert run.go(60, lambda _: 9) == []
    assert run.go(32, lambda _: 7) == [1]


def test_a_load_at_the_border_does_not_swing() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10, up_after=1, down_after=3), replicas=3)
    run.go(200, lambda now: 19 + (int(now * 3) % 3))
    assert len(run.decisions) <= 1


def test_short_calls_are_averaged() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10))
    assert run.go(20, lambda now: 60 if int(now / STEP + 0.5) % 2 else 0) == [3]


def test_it_is_never_more_than_the_processors_unless_told() -> None:
    assert Run(ScalingConfig(), cores=4).go(10, lambda _: 1000) == [4]
    assert Run(ScalingConfig(max=6), cores=4).go(10, lambda _: 1000) == [6]


def test_what_is_outside_the_bounds_is_brought_back_at_once() -> None:
    assert Run(ScalingConfig(min=2, max=4), replicas=1).go(STEP, lambda _: 0) == [2]
    assert Run(ScalingConfig(min=2, max=4), replicas=9).go(STEP, lambda _: 99) == [4]


def test_with_no_minimum_one_starts_on_demand_and_goes_when_idle() -> None:
    run = Run(ScalingConfig(min=0, max=4, idle=20), replicas=0)
    assert run.go(60, lambda _: 0) == []
    assert run.go(STEP, lambda _: 1) == [1]
    assert run.go(19, lambda _: 0) == []
    assert run.go(2, lambda _: 0) == [0]


def test_calls_that_come_and_go_between_two_looks_keep_it_awake() -> None:
    scaler = Autoscaler(ScalingConfig(min=0, max=4, idle=5), 8)
    for tick in range(1000):
        scaler.observe(Load(0, served=tick // 30), tick * STEP)
        assert scaler.decide(1, tick * STEP) is None


def test_every_decision_has_its_figures() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10))
    run.go(5, lambda _: 45)
    assert run.decisions[0][1].reason == (
        "45.0 calls under way at 1 instance, above 10 each for 2 s"
    )


def test_after_somebody_else_has_scaled_it_looks_anew() -> None:
    run = Run(ScalingConfig(max=8, target_connections=10))
    run.go(1.5, lambda _: 45)
    run.scaler.forget()
    assert run.go(1.9, lambda _: 45) == []
    assert run.go(0.5, lambda _: 45) == [5]


@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(0.1, 20)), min_size=1, max_size=20),
    st.integers(0, 3),
    st.integers(3, 10),
)
def test_it_stays_within_the_bounds_and_settles(
    loads: list[tuple[int, float]], least: int, most: int
) -> None:
    run = Run(ScalingConfig(min=least, max=most, down_after=5), replicas=max(1, least))
    for calls, seconds in loads:
        for replicas in run.go(seconds, lambda _, calls=calls: calls):  # type: ignore[misc]  # bound now
            assert least <= replicas <= most
    run.go(30, lambda _: loads[-1][0])
    assert run.go(30, lambda _: loads[-1][0]) == []
