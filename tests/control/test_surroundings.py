"""The route that tells what an instance would find around it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msctl.control.surroundings import surroundings_routes
from msctl.runtime.environment import FleetFacts
from tests.control.fleet import ControlledFleet
from tests.runtime.bench import GATEWAY_URL, api


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ControlledFleet]:
    services = (api("user"), api("order", dependencies=["user"], environment={"A": "1"}))
    with ControlledFleet(tmp_path, *services) as fleet:
        orchestrator, state = fleet.parts.orchestrator, fleet.parts.state
        facts = FleetFacts("shop", tmp_path, GATEWAY_URL, orchestrator.resolved)
        routes = surroundings_routes(orchestrator, facts, state.data_root)
        fleet.call(lambda: fleet.api.with_routes(routes))
        yield fleet


def test_ports_are_those_that_are_open(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["user"]})
    url = fleet.client.fetch("GET", "/status?service=user")["services"][0]["url"]
    status, document = fleet.client.request("GET", "/surroundings?service=order")
    assert status == 200
    assert document["environment"]["USER_URL"] == url
    assert document["environment"]["A"] == "1"
    assert document["environment"]["MSCTL_INSTANCE"] == "order-run"
    assert Path(document["environment"]["MSCTL_DATA_DIR"]).is_dir()


def test_an_unknown_service_is_404_with_the_nearest_and_several_are_400(
    fleet: ControlledFleet,
) -> None:
    status, document = fleet.client.request("GET", "/surroundings?service=ordr")
    assert (status, document["nearest"]) == (404, "order")
    status, document = fleet.client.request("GET", "/surroundings?service=*")
    assert (status, document["error"]) == (400, "* matches user, order; name one of them")


def test_a_data_directory_that_cannot_be_made_is_said(fleet: ControlledFleet) -> None:
    fleet.parts.state.data_root.write_text("a file")
    status, document = fleet.client.request("GET", "/surroundings?service=user")
    assert status == 500
    assert "cannot make its data directory" in document["error"]
