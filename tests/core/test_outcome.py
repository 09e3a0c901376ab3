"""router.md's table "What counts", written down once more from the outside."""

import pytest

from msctl.core.outcome import FAILURE_RULES, Outcome, Reason, Repeat, Verdict, rule_for_status


@pytest.mark.parametrize(
    ("status", "verdict", "repeat"),
    [
        (101, Verdict.SUCCESS, Repeat.NEVER),
        (200, Verdict.SUCCESS, Repeat.NEVER),
        (304, Verdict.SUCCESS, Repeat.NEVER),
        (400, Verdict.ALIVE, Repeat.NEVER),
        (404, Verdict.ALIVE, Repeat.NEVER),
        (424, Verdict.ALIVE, Repeat.NEVER),
        (429, Verdict.THROTTLED, Repeat.NEVER),
        (499, Verdict.ALIVE, Repeat.NEVER),
        (500, Verdict.FAILURE, Repeat.NEVER),
        (501, Verdict.FAILURE, Repeat.NEVER),
        (502, Verdict.FAILURE, Repeat.IDEMPOTENT),
        (503, Verdict.FAILURE, Repeat.IDEMPOTENT),
        (504, Verdict.FAILURE, Repeat.IDEMPOTENT),
        (505, Verdict.FAILURE, Repeat.NEVER),
    ],
)
def test_a_status_is_judged_as_the_table_says(
    status: int, verdict: Verdict, repeat: Repeat
) -> None:
    rule = rule_for_status(status)
    assert (rule.verdict, rule.repeat) == (verdict, repeat)


@pytest.mark.parametrize(
    ("outcome", "verdict", "repeat", "status", "reason"),
    [
        (Outcome.NOT_SENT, Verdict.FAILURE, Repeat.ANY, 502, Reason.CONNECT_FAILED),
        (Outcome.STALE_CONNECTION, Verdict.ABANDONED, Repeat.FRESH, 502, Reason.UPSTREAM_RESET),
        (Outcome.RESET, Verdict.FAILURE, Repeat.IDEMPOTENT, 502, Reason.UPSTREAM_RESET),
        (Outcome.LOST, Verdict.FAILURE, Repeat.MOVED, 502, Reason.UPSTREAM_RESET),
        (Outcome.MALFORMED, Verdict.FAILURE, Repeat.NEVER, 502, Reason.BAD_RESPONSE),
        (Outcome.TIMED_OUT, Verdict.FAILURE, Repeat.NEVER, 504, Reason.TIMEOUT),
    ],
)
def test_an_attempt_without_a_response_is_judged_as_the_table_says(
    outcome: Outcome, verdict: Verdict, repeat: Repeat, status: int, reason: Reason
) -> None:
    rule = FAILURE_RULES[outcome]
    assert (rule.verdict, rule.repeat, rule.status, rule.reason) == (
        verdict,
        repeat,
        status,
        reason,
    )


def test_a_client_that_went_away_counts_nothing_and_is_not_repeated() -> None:
    rule = FAILURE_RULES[Outcome.CLIENT_GONE]
    assert (rule.verdict, rule.repeat) == (Verdict.ABANDONED, Repeat.NEVER)


def test_the_table_has_a_row_for_every_outcome_without_a_response() -> None:
    assert FAILURE_RULES.keys() == set(Outcome) - {Outcome.ANSWERED}


def test_the_reasons_are_those_of_the_contract() -> None:
    assert " ".join(Reason) == (
        "no_instances breaker_open overloaded connect_failed upstream_reset timeout "
        "bad_response loop unknown_service bad_request"
    )
