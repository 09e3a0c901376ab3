import math
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from msctl.core.breaker_window import CountWindow


def test_a_bucket_counts_as_long_as_it_is_one_of_the_last_ten() -> None:
    window = CountWindow(10)
    window.add(0.0, marked=1)
    window.add(0.99)
    assert window.totals(9.99) == (2, 1)
    assert window.totals(10.0) == (0, 0)


def test_what_comes_a_whole_window_late_is_forgotten() -> None:
    window = CountWindow(10)
    window.add(25.0)
    window.add(5.0)
    assert window.totals(25.0) == (1, 0)


def test_what_comes_a_little_late_counts_in_its_own_bucket() -> None:
    window = CountWindow(10)
    window.add(12.0)
    window.add(11.9)
    assert window.totals(12.0) == (2, 0)
    assert window.totals(21.5) == (1, 0)


def test_clear_forgets_everything() -> None:
    window = CountWindow(10)
    window.add(3.0)
    window.clear()
    assert window.totals(3.0) == (0, 0)


@given(
    st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=200),
    st.sampled_from([1.0, 10.0, 30.0]),
)
def test_counts_are_exactly_those_of_the_last_ten_buckets(
    steps: list[tuple[float, bool]], length: float
) -> None:
    window = CountWindow(length)
    width = length / 10
    events: deque[tuple[int, bool]] = deque()
    now = 0.0
    for pause, bad in steps:
        now += pause
        window.add(now, marked=bad)
        events.append((math.floor(now / width), bad))
        recent = [bad for epoch, bad in events if epoch > math.floor(now / width) - 10]
        assert window.totals(now) == (len(recent), sum(recent))
