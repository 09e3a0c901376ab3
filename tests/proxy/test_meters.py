"""The recording side: integers that add up, whoever holds the meter."""

import pytest

from msctl.core.outcome import Outcome, Reason
from msctl.proxy import meters
from msctl.proxy.interrupt import Cause
from msctl.proxy.meters import BOUNDS, OTHER, Cut, Meter, Meters


def test_a_duration_falls_in_the_first_bucket_that_is_not_below_it() -> None:
    meter = Meter("api-1")
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1], BOUNDS[-1] + 1, 1e9):
        meter.record(200, seconds)
    assert meter.buckets == [2, 1, *[0] * (len(BOUNDS) - 3), 1, 2]
    assert meter.seconds == pytest.approx(1e9 + 2 * BOUNDS[-1] + 1 + 2.01 * BOUNDS[0])
    assert dict(meter.codes) == {200: 6}


def test_the_bounds_rise() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))


def test_a_long_lived_answer_has_a_status_and_no_duration() -> None:
    meter = Meter("api-1")
    meter.record_long_lived(101)
    assert (dict(meter.codes), sum(meter.buckets), meter.seconds) == ({101: 1}, 0, 0.0)


def test_an_instance_has_one_meter_that_outlives_it() -> None:
    made = Meters()
    held = made.instance("api", "api-1")
    held.record(200, 0.1)
    assert made.instance("api", "api-1") is held
    assert made.service("api").instance("api-1") is held
    assert made.instance("other", "api-1") is not held


def test_a_refusal_is_an_answer_of_the_routers_own() -> None:
    service = Meters().service("api")
    service.refused(Reason.OVERLOADED, 503, 0.2)
    assert dict(service.refusals) == {Reason.OVERLOADED: 1}
    assert dict(service.own.codes) == {503: 1}


def test_a_copy_stays_as_it_is() -> None:
    made = Meters()
    made.instance("api", "api-1").record(200, 0.1)
    made.service("api").refused(Reason.TIMEOUT, 504, 1)
    [copied] = made.copy()
    made.instance("api", "api-1").record(500, 0.1)
    made.instance("api", "api-1").attempted(Outcome.RESET)
    made.instance("api", "api-1").cut(Cut.IDLE)
    made.instance("api", "api-2").record(500, 0.1)
    made.service("api").refused(Reason.TIMEOUT, 504, 1)
    made.service("api").retried(1)
    made.service("api").left_unanswered(Cut.CLIENT_GONE)
    [meter] = copied.by_instance.values()
    assert (dict(meter.codes), sum(meter.buckets)) == ({200: 1}, 1)
    assert (dict(meter.attempts), dict(meter.cuts)) == ({}, {})
    assert (dict(copied.refusals), dict(copied.own.codes)) == ({Reason.TIMEOUT: 1}, {504: 1})
    assert (copied.retries, dict(copied.unanswered)) == (0, {})


def test_beyond_the_bound_all_others_share_one_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MAX_INSTANCES", 2)
    monkeypatch.setattr(meters, "MAX_SERVICES", 1)
    made = Meters()
    first = made.instance("api", "api-1")
    made.instance("api", "api-2")
    assert made.instance("api", "api-3") is made.instance("api", "api-4")
    assert made.instance("api", "api-3").instance == OTHER
    assert made.instance("api", "api-1") is first
    assert made.service("b") is made.service("c")
    assert [service.service for service in made.copy()] == ["api", OTHER]


def test_every_cause_of_an_interruption_is_one_of_a_cut() -> None:
    assert {cause.name for cause in Cause} <= set(Cut.__members__)
