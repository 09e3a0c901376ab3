"""The causes over the control socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msctl.control.why import why_routes
from msctl.runtime.why import Why
from tests.control.fleet import ControlledFleet
from tests.runtime.bench import api, worker
from tests.runtime.real import wait_until


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ControlledFleet]:
    with ControlledFleet(tmp_path, api("order"), worker("mailer", restart="no")) as fleet:
        parts = fleet.parts
        why = Why(parts.orchestrator, parts.state)
        fleet.call(lambda: fleet.api.with_routes(why_routes(why)))
        yield fleet


def test_a_chain_comes_under_a_schema_version(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["order"]})
    status, document = fleet.client.request("GET", "/why?service=order")
    assert (status, document["schema_version"], document["service"]) == (200, 1, "order")
    assert [step["what"] for step in document["chain"]][-1] == "nothing is wrong"


def test_one_instance_can_be_asked_for(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["order"]})
    status, document = fleet.client.request("GET", "/why?service=order/order-1")
    assert (status, document["instance"]) == (200, "order-1")


def test_what_died_is_told_with_its_last_line(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})

    def die() -> None:
        process = fleet.parts.spawner.last("mailer-1")
        process.say(b"lost the queue\n")
        process.exit(-9)

    fleet.call(die)

    def chain() -> list[str]:
        _, document = fleet.client.request("GET", "/why?service=mailer")
        return [step["what"] for step in document["chain"]]

    def is_told() -> bool:
        return chain()[-1] == 'its last line: "lost the queue"'

    fleet.until(lambda: fleet.parts.status_of("mailer-1") == "error", "it failed")
    wait_until(is_told, "its last line is told")
    assert chain()[1].startswith("killed by signal 9 (SIGKILL), ")


def test_an_unknown_name_is_404_with_the_nearest(fleet: ControlledFleet) -> None:
    status, document = fleet.client.request("GET", "/why?service=ordr")
    assert (status, document["nearest"]) == (404, "order")
    fleet.run("/up", {"services": ["order"]})
    status, document = fleet.client.request("GET", "/why?service=order/order-7")
    assert (status, document["nearest"]) == (404, "order/order-1")


def test_without_a_name_there_is_nothing_to_explain(fleet: ControlledFleet) -> None:
    status, _ = fleet.client.request("GET", "/why")
    assert status == 422
