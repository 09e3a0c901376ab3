import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.interpolate import check_syntax, expand

VARIABLES = {"A": "1", "EMPTY": "", "B": "two"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${B}z", "x1ytwoz"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${NO:-d}", "d"),
        ("${NO:-}", ""),
        ("${NO:-${B}}", "two"),
        ("${NO:-${NO:-x}y}", "xy"),
        ("${NO:-a $ b}", "a $ b"),
        ("${A:-${UNSET}}", "1"),
        ("${A:?needed}", "1"),
        ("$A", "$A"),
        ("$", "$"),
        ("a$", "a$"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$$", "$$"),
        ("${NO:-$$}", "$"),
        ("{A}", "{A}"),
    ],
)
def test_forms_and_what_they_become(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NO}", "NO is not set; set it in the environment or in .env"),
        ("${NO:?give one}", "NO is not set: give one"),
        ("${EMPTY:?give one}", "EMPTY is not set: give one"),
        ("${NO:?}", "NO is not set; set it"),
        ("${", "no closing }"),
        ("${A", "no closing }"),
        ("${NO:-${A}", "no closing }"),
        ("${}", "names no variable"),
        ("${1}", "names no variable"),
        ("${ A}", "names no variable"),
        ("${A-x}", "unknown form"),
        ("${A:+x}", "unknown form"),
        ("${A }", "unknown form"),
        ("${A:-" * 30 + "}" * 30, "not set|nested more than"),
    ],
)
def test_what_cannot_be_replaced_says_what_to_write(text: str, message: str) -> None:
    variables = {key: value for key, value in VARIABLES.items() if key != "A"}
    with pytest.raises(ValueError, match=message):
        expand(text, variables)


@pytest.mark.parametrize("text", ["${NO}", "${NO:?x}", "$NO", "$$", "${NO:-${B}}"])
def test_the_syntax_can_be_checked_without_variables(text: str) -> None:
    check_syntax(text)


@pytest.mark.parametrize("text", ["${", "${A-b}", "${A:-${}}"])
def test_a_bad_form_is_found_without_variables(text: str) -> None:
    with pytest.raises(ValueError, match=r"\$"):
        check_syntax(text)


PIECES = st.lists(
    st.sampled_from(["$", "{", "}", ":", "-", "?", "A", "NO", " ", "${", "$$", ":-", ":?"])
)


@given(PIECES.map("".join) | st.text())
def test_any_text_is_expanded_or_refused_with_a_message(text: str) -> None:
    message = "none"
    try:
        expand(text, VARIABLES)
    except ValueError as error:
        message = str(error)
    assert message


@given(st.text())
def test_a_text_with_its_dollars_doubled_is_that_text(text: str) -> None:
    assert expand(text.replace("$", "$$"), {}) == text
