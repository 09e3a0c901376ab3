"""What became of the requests to some services meanwhile."""

from collections.abc import Callable

import pytest

from msctl.core.outcome import Reason
from msctl.proxy.meters import BOUNDS, Cut, Meters
from msctl.runtime.requests import RequestReport, RequestWatch

NOTHING = RequestReport(served=0, failed=0, longest_stall=0.0)


def seen(happen: Callable[[Meters], object], *, before: bool = False) -> RequestReport:
    meters = Meters()
    if before:
        happen(meters)
    watch = RequestWatch(meters, ["a", "b"])
    if not before:
        happen(meters)
    return watch.report()


def test_what_was_counted_before_is_not_reported() -> None:
    def happen(meters: Meters) -> None:
        meters.instance("a", "a-1").record(500, 3)

    assert seen(happen, before=True) == NOTHING
    assert seen(happen) == RequestReport(served=1, failed=1, longest_stall=5.0)


def test_other_services_are_not_reported() -> None:
    assert seen(lambda meters: meters.instance("c", "c-1").record(500, 3)) == NOTHING


def test_the_requests_of_all_services_and_instances_are_summed() -> None:
    def happen(meters: Meters) -> None:
        meters.instance("a", "a-1").record(200, 0.003)
        meters.instance("a", "a-2").record(404, 0.007)
        meters.instance("b", "b-1").record(302, 0.0001)

    assert seen(happen) == RequestReport(served=3, failed=0, longest_stall=0.01)


@pytest.mark.parametrize(
    ("happen", "served", "failed"),
    [
        (lambda s: s.refused(Reason.NO_INSTANCES, 503, 0.1), 1, 1),
        (lambda s: s.instance("a-1").record(500, 0.1), 1, 1),
        (lambda s: s.instance("a-1").record(499, 0.1), 1, 0),
        (lambda s: s.left_unanswered(Cut.LOST), 0, 1),
        (lambda s: s.left_unanswered(Cut.CLIENT_GONE), 0, 0),
        (lambda s: s.instance("a-1").cut(Cut.BROKEN_BODY), 0, 1),
        (lambda s: s.instance("a-1").cut(Cut.CLIENT_SLOW), 0, 0),
        (lambda s: s.instance("a-1").record_long_lived(101), 1, 0),
    ],
)
def test_a_failure_is_what_the_client_has_not_done_itself(
    happen: Callable[[object], object], served: int, failed: int
) -> None:
    report = seen(lambda meters: happen(meters.service("a")))
    assert (report.served, report.failed) == (served, failed)


def test_a_stall_beyond_the_last_bound_has_none() -> None:
    report = seen(lambda meters: meters.instance("a", "a-1").record(200, BOUNDS[-1] + 1))
    assert report.longest_stall == float("inf")
    assert report.document() == {"served": 1, "failed": 0, "longest_stall": None}
