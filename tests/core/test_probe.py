import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.probe import ProbeKind, classify


@pytest.mark.parametrize("status", [200, 204, 299, 301, 399])
def test_a_success_or_a_redirection_passes(status: int) -> None:
    result = classify(status, b"")
    assert (result.kind, result.status) == (ProbeKind.OK, status)
    assert result.detail == f"answered {status}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (503, ProbeKind.UNAVAILABLE),
        (404, ProbeKind.NOT_FOUND),
        (400, ProbeKind.FAILED),
        (401, ProbeKind.FAILED),
        (500, ProbeKind.FAILED),
        (502, ProbeKind.FAILED),
        (101, ProbeKind.FAILED),
    ],
)
def test_any_other_answer_is_told_apart_by_its_status(status: int, kind: ProbeKind) -> None:
    assert classify(status, b"").kind is kind


def test_a_body_may_say_that_it_is_degraded() -> None:
    result = classify(200, b'{"status": "degraded", "checks": {"db": "slow"}}')
    assert result.kind is ProbeKind.DEGRADED
    assert result.detail == "answered 200, degraded"


@pytest.mark.parametrize(
    "body",
    [b'{"status": "healthy"}', b'{"mode": "degraded"}', b"degraded", b'["degraded"]', b'"degraded'],
)
def test_other_bodies_say_nothing(body: bytes) -> None:
    assert classify(200, body).kind is ProbeKind.OK


def test_a_body_nested_without_end_says_nothing() -> None:
    assert classify(200, b"[" * 100_000 + b"degraded").kind is ProbeKind.OK


def test_503_is_unavailable_whatever_its_body_says() -> None:
    assert classify(503, b'{"status": "degraded"}').kind is ProbeKind.UNAVAILABLE


def test_what_is_expected_replaces_the_usual_rule() -> None:
    expected = (401, 503)
    assert classify(401, b"", expected).kind is ProbeKind.OK
    assert classify(503, b"", expected).kind is ProbeKind.OK
    assert classify(200, b"", expected).kind is ProbeKind.FAILED
    assert classify(404, b"", expected).kind is ProbeKind.FAILED
    assert classify(503, b"", (200,)).kind is ProbeKind.UNAVAILABLE


def test_a_failure_quotes_the_answer_in_one_printable_line() -> None:
    result = classify(500, b'{"error":\n  "no \x1b[31mdatabase"}' + b"x" * 1000)
    assert result.detail.startswith(
        'answered 500: {"error": "no \N{REPLACEMENT CHARACTER}[31mdatab'
    )
    assert len(result.detail) < 250


@given(st.integers(100, 599), st.binary(max_size=300))
def test_no_answer_is_beyond_reading(status: int, body: bytes) -> None:
    result = classify(status, body)
    assert result.status == status
    assert result.detail.isprintable()
