"""Breakers over the control socket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msctl.clock import SystemClock
from msctl.control.breakers import breaker_routes
from msctl.runtime.breaker_watch import BreakerWatch
from msctl.runtime.breakers import Breakers
from tests.control.fleet import ControlledFleet
from tests.runtime.bench import api, worker


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ControlledFleet]:
    services = [api("order", replicas=2), api("user", breaker="off"), worker("mailer")]
    with ControlledFleet(tmp_path, *services) as fleet:
        parts = fleet.parts

        def add_breakers() -> None:
            watch = BreakerWatch(parts.router, parts.registry, parts.events, SystemClock())
            fleet.api.with_routes(breaker_routes(Breakers(parts.orchestrator, watch)))

        fleet.call(add_breakers)
        fleet.run("/up", {"services": ["order"]})
        yield fleet


def test_all_breakers_are_listed_under_a_schema_version(fleet: ControlledFleet) -> None:
    status, document = fleet.client.request("GET", "/breakers")
    assert (status, document["schema_version"], document["project"]) == (200, 1, "shop")
    listed = [(b["service"], b["instance"], b["state"]) for b in document["breakers"]]
    assert listed == [
        ("order", None, "closed"),
        ("order", "order-1", "closed"),
        ("order", "order-2", "closed"),
        ("user", None, "closed"),
    ]
    assert [b["enabled"] for b in document["breakers"]] == [True, True, True, False]


@pytest.mark.parametrize(
    ("action", "seconds", "state"),
    [("open", None, "forced_open"), ("close", 30, "forced_closed"), ("reset", None, "closed")],
)
def test_a_command_answers_with_the_breakers_that_it_concerned(
    fleet: ControlledFleet, action: str, seconds: float | None, state: str
) -> None:
    body = {"name": "order/order-1", "for": seconds}
    status, document = fleet.client.request("POST", f"/breakers/{action}", body)
    (breaker,) = document["breakers"]
    assert (status, breaker["instance"], breaker["state"]) == (200, "order-1", state)
    (event,) = [e for e in fleet.client.stream("GET", "/events") if e["kind"] == "breaker"]
    assert (event["service"], event["instance"], event["to"]) == ("order", "order-1", state)


def test_auto_ends_a_forcing(fleet: ControlledFleet) -> None:
    fleet.client.request("POST", "/breakers/open", {"name": "order"})
    _, document = fleet.client.request("POST", "/breakers/auto", {"name": "order"})
    assert {b["state"] for b in document["breakers"]} == {"closed"}


def test_an_unknown_name_is_404_with_the_nearest(fleet: ControlledFleet) -> None:
    status, document = fleet.client.request("POST", "/breakers/open", {"name": "ordr"})
    assert (status, document["nearest"]) == (404, "order")
    status, document = fleet.client.request("POST", "/breakers/open", {"name": "order/ordr-1"})
    assert (status, document["nearest"]) == (404, "order/order-1")


def test_what_makes_no_sense_is_400_and_what_is_malformed_422(fleet: ControlledFleet) -> None:
    wrong: list[tuple[str, dict[str, Any], int]] = [
        ("open", {"name": "mailer"}, 400),
        ("auto", {"name": "order", "for": 3}, 400),
        ("open", {"name": "order", "for": 0}, 422),
        ("open", {"name": "order", "for": -1}, 422),
        ("explode", {"name": "order"}, 422),
        ("open", {}, 422),
    ]
    for action, body, expected in wrong:
        status, _ = fleet.client.request("POST", f"/breakers/{action}", body)
        assert status == expected, (action, body)
    assert not [e for e in fleet.client.stream("GET", "/events") if e["kind"] == "breaker"]
