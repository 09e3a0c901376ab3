from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.drafting.yaml_text import block, comment, flow, scalar
from tests.config.editor import read

TEXTS = st.text() | st.sampled_from(
    ["no", "1.10", "~", "", "a: b", "a #b", "- a", "-c", "x:", "{a}", "[", "a\nb", " a\nb", "a\n",
     "a\n\n  b", "${PORT}", "run ${A} [b]", "'", '"', "\\", "0x1", "1e3", "12:30", "*a", "&a", "!a",
     "%a", "@a", "`a", "---", "...", "|", ">", "? a", "=", "\x85", "\u2028", "\ufeff", "😀", "-1"]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS.filter(lambda text: not any(0xD800 <= ord(char) <= 0xDFFF for char in text))
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab_ :#é", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_every_value_is_read_as_it_was(value: Any) -> None:
    first, *rest = block(value, "  ")
    for text in (f"key: {flow(value)}\n", "\n".join([f"key:{first}", *rest])):
        assert read(text) == {"key": value}, text
        assert yaml.safe_load(text) == {"key": value}, text


@pytest.mark.parametrize(
    "text",
    ["redis-server --port ${PORT}", "main:app", "/health", "a b c", "Keeps users, orders.", "-c"],
)
def test_ordinary_texts_are_not_quoted(text: str) -> None:
    assert scalar(text, in_flow=text.startswith("-")) == text


def test_several_lines_stay_lines() -> None:
    assert block("a: b\n  c", "    ") == [" |-", "    a: b", "      c"]


@given(st.text())
def test_a_comment_is_a_comment_whatever_it_says(text: str) -> None:
    lines = comment(text)
    assert lines
    assert all(line.startswith("#") for line in lines)
    assert read("\n".join([*lines, "a: 1"])) == {"a": 1}
