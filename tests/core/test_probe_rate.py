import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.probe_rate import ProbeRate


def test_a_lone_probe_never_waits() -> None:
    rate = ProbeRate(500)
    assert [rate.reserve(now) for now in (10.0, 10.02, 10.04)] == [0, 0, 0]


def test_probes_of_one_moment_are_spread_evenly() -> None:
    rate = ProbeRate(500)
    delays = [rate.reserve(10.0) for _ in range(4)]
    assert delays == pytest.approx([0, 0.002, 0.004, 0.006])


def test_unused_time_is_not_saved_up_for_a_burst() -> None:
    rate = ProbeRate(500)
    rate.reserve(0.0)
    assert rate.reserve(100.0) == 0
    assert rate.reserve(100.0) > 0


@given(st.lists(st.floats(0, 0.05), min_size=1, max_size=100))
def test_no_second_holds_more_than_the_limit(gaps: list[float]) -> None:
    rate, now, places = ProbeRate(20), 0.0, []
    for gap in gaps:
        now += gap
        places.append(now + rate.reserve(now))
    for place in places:
        assert sum(place <= other < place + 1 - 1e-6 for other in places) <= 20
