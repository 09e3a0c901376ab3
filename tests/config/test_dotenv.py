import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.dotenv import EnvFileError, assignments, parse_env_file, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# comment\n\n  \n", {}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("  A = x y  ", {"A": "x y"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=1 # why", {"A": "1"}),
        ("A=b#c", {"A": "b#c"}),
        ("A=x=y", {"A": "x=y"}),
        ("A='x # y'", {"A": "x # y"}),
        ('A="x # y" # why', {"A": "x # y"}),
        (r'A="a\nb\"c\\"', {"A": 'a\nb"c\\'}),
        (r"A='a\nb'", {"A": r"a\nb"}),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=$B", {"A": "$B"}),
    ],
)
def test_lines_and_what_they_assign(text: str, expected: dict[str, str]) -> None:
    assert parse_env_file(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A=1\nnonsense", 2, "expected NAME=value"),
        ("1A=2", 1, "expected NAME=value"),
        ('\n\nA="x\ny', 3, "never closed"),
        ("A='x' y", 1, "follows the closing quote"),
        ("A=\0", 1, "NUL"),
    ],
)
def test_a_bad_line_is_named(text: str, line: int, message: str) -> None:
    with pytest.raises(EnvFileError, match=message) as caught:
        parse_env_file(text)
    assert caught.value.line == line


def test_variables_are_replaced_but_not_within_single_quotes() -> None:
    items = assignments('A=${X}\nB="${X}"\nC=\'${X}\'\nD="\\${X}"\nE=$X')
    assert [resolve(item, {"X": "1"}) for item in items] == ["1", "1", "${X}", "${X}", "$X"]


@given(st.text() | st.text(alphabet="A=\"'\\\n# $x"))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    line = 1
    try:
        parse_env_file(text)
    except EnvFileError as error:
        line = error.line
    assert 1 <= line <= len(text.splitlines()) + 1
