from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.jitter import spread
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
