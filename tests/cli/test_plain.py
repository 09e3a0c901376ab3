"""The quick answers are those of the library that has them all."""

import json
import mimetypes
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.cli import plain

SAFE = "/?%:@!$&'()*+,;=-._~"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.text("abcXYZ019-._~/?=& ", max_size=20)


@given(TEXT | PLAIN, st.sampled_from(["", SAFE]))
def test_quoting(text: str, safe: str) -> None:
    assert plain.quote(text, safe) == quote(text, safe=safe)


@given(st.lists(st.tuples(TEXT | PLAIN, TEXT | PLAIN), max_size=3))
def test_queries(pairs: list[tuple[str, str]]) -> None:
    assert plain.urlencode(pairs) == urlencode(pairs)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(
    VALUES.map(json.dumps), st.integers(0, 40), st.sampled_from(["", " ", "\n\t", "x", "}", '"'])
)
def test_texts_that_are_json_and_texts_that_are_nearly(text: str, at: int, more: str) -> None:
    text = text[:at] + more + text[at:]
    assert plain.is_json(text) is is_json(text)


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "1 2", "NaN", " 1", "1 ", "\ufeff1", '"\n"', "01", "{'a': 1}"]
)
def test_the_edges_of_json(text: str) -> None:
    assert plain.is_json(text) is is_json(text)


def test_nesting_without_end_is_no_json() -> None:
    assert plain.is_json("[" * 100_000) is False


@pytest.mark.parametrize("name", ["a.json", "b.txt", "c", "d.JSON", "e.tar.gz"])
def test_content_types(name: str) -> None:
    assert plain.content_type(name) == mimetypes.guess_type(name)[0]
