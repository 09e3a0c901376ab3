"""The commands over the control socket, as the command line's client sees them."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from msctl.errors import NoDaemon, UsageError
from tests.control.fleet import ControlledFleet
from tests.runtime.bench import api, worker
from tests.runtime.fakes import OK, REFUSED, Behaviour
from tests.runtime.real import PATIENCE

SHOP = [api("user"), api("order", dependencies=["user"]), worker("mailer")]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ControlledFleet]:
    with ControlledFleet(tmp_path, *SHOP) as fleet:
        yield fleet


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    """The types of the messages, repetitions left out."""
    return list(dict.fromkeys(message["type"] for message in messages))


def holding(fleet: ControlledFleet, instance: str) -> Any:
    """Keep an instance from becoming healthy; returns its probe."""
    probe = fleet.parts.lives.probes[instance]
    probe.answer = REFUSED
    return probe


# Documents


def test_ping_names_the_project(fleet: ControlledFleet) -> None:
    assert fleet.client.request("GET", "/ping") == (200, {"project": "shop"})


def test_the_status_document_is_served(fleet: ControlledFleet) -> None:
    fleet.run("/up", {})
    document = fleet.client.fetch("GET", "/status")
    assert document["schema_version"] == 1
    assert [s["status"] for s in document["services"]] == ["running"] * 3
    some = fleet.client.fetch("GET", "/status?service=mailer&service=user")
    assert [s["name"] for s in some["services"]] == ["user", "mailer"]


def test_an_unknown_service_is_404_with_the_nearest_name(fleet: ControlledFleet) -> None:
    assert fleet.client.request("GET", "/status?service=usr") == (
        404,
        {"error": "unknown service usr; did you mean user?", "nearest": "user"},
    )
    with pytest.raises(UsageError, match="did you mean user"):
        fleet.client.fetch("GET", "/status?service=usr")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/up", {"unknown": 1}),
        ("POST", "/up", {"timeout": -1}),
        ("POST", "/up", {"scale": {"user": -1}}),
        ("POST", "/wait", {"for": "happiness"}),
        ("POST", "/stop", {"services": "user"}),
        ("GET", "/nothing", None),
        ("GET", "/openapi.json", None),
        ("POST", "/operations/op-99/cancel", {}),
    ],
)
def test_what_is_not_understood_is_refused_and_nothing_happens(
    fleet: ControlledFleet, method: str, path: str, body: dict[str, Any] | None
) -> None:
    status, _ = fleet.client.request(method, path, body)
    assert 400 <= status < 500
    assert fleet.running() == []
    assert fleet.client.request("GET", "/ping")[0] == 200


# Operations


def test_an_operation_says_what_it_accepted_what_happens_and_how_it_ended(
    fleet: ControlledFleet,
) -> None:
    messages = list(fleet.client.stream("POST", "/up", {"services": ["order"]}))
    assert kinds(messages) == ["accepted", "event", "result"]
    assert messages[0]["operation"] == "op-1"
    assert [row["name"] for row in messages[0]["services"]] == ["user", "order"]
    result = messages[-1]
    assert (result["exit_code"], result["failures"], result["problems"]) == (0, [], [])
    assert [s["name"] for s in result["status"]["services"]] == ["user", "order"]
    assert fleet.running() == ["order-1", "user-1"]


def test_messages_are_sent_as_they_are_said(fleet: ControlledFleet) -> None:
    probe = holding(fleet, "user-1")
    messages = iter(fleet.client.stream("POST", "/up", {"services": ["user"]}))
    assert next(messages)["type"] == "accepted"
    assert next(messages)["to"] == "starting"
    probe.answer = OK
    *_, result = messages
    assert result["exit_code"] == 0


def test_every_command_has_its_way(fleet: ControlledFleet) -> None:
    assert fleet.run("/up", {})["exit_code"] == 0
    assert fleet.run("/wait", {"for": "healthy", "timeout": 5})["exit_code"] == 0
    assert fleet.run("/wait", {"for": "stopped", "timeout": 0})["exit_code"] == 124
    restarted = fleet.run("/restart", {"services": ["mailer"], "environment": {"A": "1"}})
    assert [c["action"] for c in restarted["changes"]] == ["restarted"]
    assert fleet.run("/stop", {"services": ["mailer"], "kill": True})["exit_code"] == 0
    assert fleet.running() == ["order-1", "user-1"]
    assert fleet.run("/start", {})["exit_code"] == 0
    assert fleet.running() == ["mailer-1", "order-1", "user-1"]
    assert not fleet.ended


def test_an_unknown_service_of_a_command_is_exit_2(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    for path in ("/up", "/start", "/restart", "/stop", "/wait"):
        result = fleet.run(path, {"services": ["usr"]})
        assert result["exit_code"] == 2
        assert result["message"] == "unknown service usr; did you mean user?"


def test_commands_that_overlap_do_not_mix_their_messages(fleet: ControlledFleet) -> None:
    probe = holding(fleet, "user-1")
    first = iter(fleet.client.stream("POST", "/up", {"services": ["user"]}))
    assert next(first)["operation"] == "op-1"
    second = list(fleet.client.stream("POST", "/up", {"services": ["mailer"]}))
    assert second[0]["operation"] == "op-2"
    assert {m["service"] for m in second if m["type"] == "event"} == {"mailer"}
    probe.answer = OK
    rest = list(first)
    assert {m["service"] for m in rest if m["type"] == "event"} == {"user"}


# Interruption


def test_a_cancelled_operation_tidies_up_and_its_own_stream_tells(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    holding(fleet, "user-1")
    messages = iter(fleet.client.stream("POST", "/up", {}))
    operation = next(messages)["operation"]
    status, _ = fleet.client.request("POST", f"/operations/{operation}/cancel", {})
    assert status == 204
    *_, result = messages
    assert (result["exit_code"], result["message"]) == (130, "interrupted")
    assert fleet.running() == ["mailer-1"]


def test_an_operation_that_has_ended_cannot_be_cancelled(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    fleet.until(lambda: not fleet.api._desk._operations, "the operation has ended")
    status, document = fleet.client.request("POST", "/operations/op-1/cancel", {})
    assert (status, document) == (404, {"error": "no operation op-1"})
    assert fleet.running() == ["mailer-1"]


def test_a_dropped_connection_cancels(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    holding(fleet, "user-1")
    messages = fleet.client.stream("POST", "/up", {})
    heard = iter(messages)
    next(heard)
    fleet.until(lambda: fleet.parts.registry.get_instance("user-1"), "it has begun")
    messages.close()
    fleet.until(lambda: not fleet.api._desk._operations, "the operation has ended")
    assert fleet.running() == ["mailer-1"]


@pytest.mark.parametrize("half", [False, True], ids=["closed", "half closed"])
def test_a_connection_that_is_dropped_before_any_answer_cancels_too(
    fleet: ControlledFleet,
    half: bool,  # noqa: FBT001  a parameter
) -> None:
    holding(fleet, "user-1")
    body = b"{}"
    request = b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(fleet.socket))
        connection.sendall(request + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        if half:
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(PATIENCE)
            while connection.recv(65536):
                pass
    fleet.join()  # it was all that this daemon had to do
    assert fleet.api.used


def test_a_stop_goes_on_when_its_caller_has_gone(fleet: ControlledFleet) -> None:
    fleet.parts.spawner.behave = lambda _: Behaviour(leaves_slowly=0.2)
    fleet.run("/up", {"services": ["user", "mailer"]})
    messages = fleet.client.stream("POST", "/stop", {"services": ["user"]})
    heard = iter(messages)
    next(heard)
    messages.close()
    fleet.until(lambda: not fleet.api._desk._operations, "the operation has ended")
    assert fleet.running() == ["mailer-1"]


# The daemon's own end


def test_a_stop_of_everything_ends_the_daemon_after_its_answer(fleet: ControlledFleet) -> None:
    fleet.run("/up", {})
    result = fleet.run("/stop", {})
    assert result["exit_code"] == 0
    assert {c["service"] for c in result["changes"]} == {"user", "order", "mailer"}
    fleet.join()
    with pytest.raises(NoDaemon):
        fleet.client.request("GET", "/ping")


def test_an_up_that_fails_ends_the_daemon_when_nothing_else_runs(fleet: ControlledFleet) -> None:
    fleet.parts.spawner.behave = lambda _: Behaviour(error="command not found: x")
    result = fleet.run("/up", {})
    assert result["exit_code"] == 1
    fleet.join()


def test_an_up_that_fails_leaves_the_daemon_to_those_that_run(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    fleet.parts.spawner.behave = lambda _: Behaviour(error="command not found: x")
    assert fleet.run("/up", {})["exit_code"] == 1
    assert fleet.client.request("GET", "/ping")[0] == 200
    assert fleet.running() == ["mailer-1"]


# Events


def test_the_kept_events_are_listed(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    events = list(fleet.client.stream("GET", "/events"))
    assert [(e["instance"], e["kind"], e["to"]) for e in events] == [
        ("mailer-1", "status", "starting"),
        ("mailer-1", "status", "running"),
        ("mailer-1", "health", "healthy"),
    ]
    assert events[0].keys() == {"time", "service", "instance", "kind", "from", "to", "reason"}


def test_a_follower_hears_what_comes_until_the_daemon_ends(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    stream = fleet.client.stream("GET", "/events?follow=1")
    events = iter(stream)
    assert [next(events)["to"] for _ in range(3)] == ["starting", "running", "healthy"]
    fleet.run("/stop", {"services": ["mailer"]})
    assert next(events)["to"] == "draining"
    fleet.run("/stop", {})
    assert "stopped" in [event["to"] for event in events]
    fleet.join()


def test_a_follower_that_leaves_is_forgotten(fleet: ControlledFleet) -> None:
    fleet.run("/up", {"services": ["mailer"]})
    stream = fleet.client.stream("GET", "/events?follow=1")
    heard = iter(stream)
    next(heard)
    fleet.until(lambda: len(fleet.parts.events._listeners) == 1, "it follows")
    stream.close()
    fleet.until(lambda: not fleet.parts.events._listeners, "it is forgotten")


def test_what_happens_while_the_kept_events_are_sent_is_not_lost(fleet: ControlledFleet) -> None:
    async def main() -> list[str]:
        log = fleet.parts.events
        for number in (1, 2):
            log.record("a", f"a-{number}", "status", ("starting", "running"))
        response = await fleet.api.events(follow=True)
        lines = cast("AsyncGenerator[bytes, None]", response.body_iterator)
        heard = [await anext(lines)]
        log.record("a", "a-3", "status", ("starting", "running"))
        heard += [await asyncio.wait_for(anext(lines), PATIENCE) for _ in range(2)]
        await lines.aclose()
        return [json.loads(line)["instance"] for line in heard]

    assert fleet.do(main) == ["a-1", "a-2", "a-3"]


# Attached


def test_the_fleet_ends_with_the_connection_that_it_is_tied_to(fleet: ControlledFleet) -> None:
    fleet.run("/up", {})
    stream = fleet.client.stream("GET", "/attach")
    heard = iter(stream)
    assert next(heard) == {"type": "attached"}
    assert not fleet.ended
    stream.close()
    fleet.join()


def test_one_who_is_attached_sees_the_end_of_the_fleet(fleet: ControlledFleet) -> None:
    fleet.run("/up", {})
    messages = iter(fleet.client.stream("GET", "/attach"))
    assert next(messages) == {"type": "attached"}
    fleet.run("/stop", {})
    assert list(messages) == []
    fleet.join()


def test_a_daemon_knows_whether_anyone_has_asked_it_for_anything(fleet: ControlledFleet) -> None:
    fleet.client.request("GET", "/ping")
    fleet.client.request("GET", "/status")
    assert not fleet.api.used
    fleet.run("/wait", {"services": ["user"], "timeout": 0})
    assert fleet.api.used
