import pytest

from msctl.render.units import age, moment, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0s"),
        (41, "41s"),
        (60, "1m"),
        (303, "5m 3s"),
        (7200, "2h"),
        (86400 + 60, "1d"),
        (187200, "2d 4h"),
    ],
)
def test_an_age_has_two_units_at_most(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), ("2d", 172800)]
)
def test_a_span_is_a_number_of_seconds_or_has_units(text: str, seconds: float) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5x", "5 m", "-5m", "1e3", "nan"])
def test_anything_else_is_no_span(text: str) -> None:
    assert span(text) is None


def test_a_moment_is_a_span_ago_or_a_date() -> None:
    assert moment("5m", 1000.0) == 700.0
    assert moment("1970-01-01T00:01:00Z", 1000.0) == 60.0
    assert moment("yesterday", 1000.0) is None
