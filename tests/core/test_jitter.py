from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.jitter import spread, spread_together
from tests.core.instances import FixedRandom


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 1.8), (0.5, 2.0), (1.0, 2.2)])
def test_a_delay_is_spread_evenly_to_both_sides(chance: float, expected: float) -> None:
    assert spread(2.0, 0.1, FixedRandom(chance)) == pytest.approx(expected)


@given(st.floats(0, 1000), st.floats(0, 1), st.integers())
def test_a_spread_delay_stays_within_its_fraction(
    seconds: float, fraction: float, seed: int
) -> None:
    delay = spread(seconds, fraction, Random(seed))
    slack = 1e-9 * seconds
    assert seconds * (1 - fraction) - slack <= delay <= seconds * (1 + fraction) + slack


NOW = st.floats(0, 1e7)


@given(st.floats(0.05, 1000), st.floats(0, 1), NOW, st.integers())
def test_what_is_spread_together_stays_within_the_same_fraction(
    seconds: float, fraction: float, now: float, seed: int
) -> None:
    delay = spread_together(seconds, fraction, now, Random(seed))
    slack = 1e-6 * seconds + 1e-7
    assert seconds * (1 - fraction) - slack <= delay <= seconds * (1 + fraction) + slack


@given(NOW)
def test_checks_every_two_seconds_are_due_at_twenty_moments_a_second(now: float) -> None:
    due = now + spread_together(2.0, 0.1, now, Random(1))
    assert due / 0.05 == pytest.approx(round(due / 0.05), abs=1e-4)


def test_what_began_together_does_not_stay_so() -> None:
    random = Random(1)
    moments = {round(spread_together(2.0, 0.1, 100.0, random), 3) for _ in range(200)}
    assert len(moments) == 9


def test_without_a_fraction_nothing_is_moved() -> None:
    assert spread_together(2.0, 0.0, 100.001, Random(1)) == 2.0
