import pytest

from msctl.core.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1.0, "0 s"),
        (0.04, "0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (41.9, "41 s"),
        (303, "5 min 3 s"),
        (3600, "1 h"),
        (7261, "2 h 1 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
