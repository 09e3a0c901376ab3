"""The circuit breaker in a fleet: what trips it, what it keeps out, who may overrule it."""

import http.client
import json
import os
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fleet.project import Project, eventually, free_port

BREAKABLE = """
    import os
    from pathlib import Path

    HERE = Path(__file__).parent

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        broken = (HERE / "broken").exists()
        if scope["path"] != "/health":
            with (HERE / "seen").open("a") as seen:
                print(os.environ["MSCTL_INSTANCE"], scope["path"], file=seen)
        fails = broken and scope["path"] != "/health"
        asked = int(scope["path"].rpartition("/")[2]) if "/status/" in scope["path"] else 200
        status = 500 if fails else asked
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"broken" if fails else b"fine"})
    """
NAME = "order-service"
ONE = f"{NAME}/{NAME}-1"


class Fleet:
    """One service that can be broken and repaired, and what its processes have seen."""

    def __init__(self, project: Project, **keys: Any) -> None:
        self.project = project
        self.port = free_port()
        project.write("breakable.py", BREAKABLE)
        breaker = {"failure_threshold": 3, "timeout": 1}
        service = {"app": "breakable:app", "port": self.port, "breaker": breaker, **keys}
        project.config({NAME: service})
        project.ok("up")

    def break_(self) -> None:
        (self.project.directory / "broken").touch()

    def repair(self) -> None:
        (self.project.directory / "broken").unlink()

    def seen(self) -> int:
        """Requests that reached an instance."""
        file = self.project.directory / "seen"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def get(self, path: str = "/", method: str = "GET") -> tuple[int, Mapping[str, str]]:
        """Send a request to the front door."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            return response.status, {k.lower(): v for k, v in response.getheaders()}
        finally:
            connection.close()

    def trip(self) -> None:
        """Break it and call it until it is called no more."""
        self.break_()
        eventually(lambda: self.get()[0] == 503, "the breaker refuses")

    def breakers(self) -> dict[str, dict[str, Any]]:
        """Every breaker by the name that commands call it."""
        document = self.project.ok("breaker", "--json").json()
        assert document["schema_version"] == 1
        return {
            "/".join(filter(None, (b["service"], b["instance"]))): b for b in document["breakers"]
        }

    def states(self) -> list[str]:
        return [breaker["state"] for breaker in self.breakers().values()]

    def moves(self) -> list[dict[str, Any]]:
        lines = self.project.ok("events", "--json").out.splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == "breaker"]

    def changes(self) -> list[tuple[str, str, str]]:
        """Every move of the service's own breaker: from, to, and why."""
        return [
            (event["from"], event["to"], event["reason"])
            for event in self.moves()
            if event["instance"] is None
        ]


@pytest.fixture
def fleet(project: Project) -> Fleet:
    return Fleet(project)


# By itself


def test_a_failing_service_opens_is_left_alone_and_closes_after_the_repair(fleet: Fleet) -> None:
    fleet.trip()
    reached = fleet.seen()
    status, headers = fleet.get()
    assert (status, headers["content-type"]) == (503, "application/problem+json")
    assert headers["x-msctl-reason"] == "breaker_open"
    assert int(headers["retry-after"]) >= 1
    refused = fleet.project.run("call", NAME, "GET", "/")
    assert refused.code == 75
    assert "breaker_open" in refused.err + refused.out
    assert fleet.seen() == reached, "not one request passes before the probe"

    # Nobody calls, and still it tries again at its time.
    eventually(lambda: "half_open" in fleet.states(), "it may be tried")
    assert fleet.seen() == reached
    assert fleet.get()[0] == 500, "the probe is a real call"
    assert fleet.seen() == reached + 1
    assert fleet.get()[0] == 503, "one failed probe opens it again"
    assert fleet.seen() == reached + 1

    fleet.repair()
    eventually(lambda: fleet.get()[0] == 200, "it serves again")
    eventually(lambda: fleet.get()[0] == 200 and set(fleet.states()) == {"closed"}, "it closes")
    causes = [("closed", "open"), ("open", "half_open"), ("half_open", "open")]
    causes += [("open", "half_open"), ("half_open", "closed")]
    assert [change[:2] for change in fleet.changes()] == causes
    reasons = [change[2] for change in fleet.changes()]
    assert reasons[0] == (f"every instance is over its threshold; {NAME}-1: 3 failures in a row")
    assert reasons[1].startswith("after 1")
    assert (reasons[2], reasons[4]) == ("the probe failed", "3 probes succeeded")


def test_status_and_table_tell_why_it_is_open_and_for_how_long(fleet: Fleet) -> None:
    fleet.project.config(
        {NAME: {"app": "breakable:app", "port": fleet.port, "breaker": {"failure_threshold": 3}}}
    )
    fleet.project.ok("up")
    fleet.trip()
    breaker = fleet.project.service(NAME)["breaker"]
    assert breaker["state"] == "open"
    assert "3 failures in a row" in breaker["reason"]
    assert 0 < breaker["until"] <= 7.5
    shown = fleet.breakers()[NAME]
    assert shown["state"] == "open"
    assert 0 < shown["until"] <= breaker["until"]
    assert shown["since"] is not None
    assert fleet.breakers()[ONE]["generation"] == 0, "the cap keeps the only instance in"
    row = fleet.project.ok("breaker").out.splitlines()[1].split()
    assert row[:2] == [NAME, "open"]


def test_client_errors_never_trip(fleet: Fleet) -> None:
    for _ in range(30):
        assert fleet.get("/status/404")[0] == 404
        assert fleet.get("/status/409", "POST")[0] == 409
    assert set(fleet.states()) == {"closed"}
    assert fleet.get()[0] == 200
    assert fleet.moves() == []
    assert fleet.breakers()[NAME]["failures"] == 0


@pytest.mark.parametrize("flags", [[], ["--hard"]])
def test_a_restart_never_trips(fleet: Fleet, flags: list[str]) -> None:
    with fleet.project.popen("restart", NAME, *flags) as restart:
        reasons = {fleet.get()[1].get("x-msctl-reason")}
        while restart.poll() is None:
            reasons.add(fleet.get()[1].get("x-msctl-reason"))
        assert restart.wait() == 0
    assert "breaker_open" not in reasons
    assert set(fleet.states()) == {"closed"}
    assert fleet.moves() == []


def test_a_restart_closes_what_the_processes_before_had_opened(fleet: Fleet) -> None:
    fleet.project.config(
        {NAME: {"app": "breakable:app", "port": fleet.port, "breaker": {"failure_threshold": 3}}}
    )
    fleet.project.ok("up")
    fleet.trip()
    fleet.repair()
    fleet.project.ok("restart", NAME)
    eventually(lambda: set(fleet.states()) == {"closed"}, "it closes without a call")
    assert fleet.changes()[-1] == ("open", "closed", "every instance has been replaced")
    assert fleet.get()[0] == 200


# By command


def test_forced_open_lets_nothing_pass_until_auto(fleet: Fleet) -> None:
    shown = fleet.project.ok("breaker", "open", NAME)
    assert [line.split()[1] for line in shown.out.splitlines()[1:]] == ["forced_open"] * 2
    status, headers = fleet.get()
    assert (status, headers["x-msctl-reason"]) == (503, "breaker_open")
    assert "retry-after" not in headers, "nobody knows when it ends"
    assert fleet.project.run("call", NAME, "GET", "/").code == 75
    assert fleet.seen() == 0
    fleet.project.ok("breaker", "auto", NAME)
    assert fleet.get()[0] == 200
    assert fleet.changes() == [
        ("closed", "forced_open", "by command"),
        ("forced_open", "closed", "auto, by command"),
    ]


def test_a_forcing_with_a_time_ends_by_itself(fleet: Fleet) -> None:
    fleet.project.ok("breaker", "open", NAME, "--for", "0.8s")
    status, headers = fleet.get()
    assert (status, headers["retry-after"]) == (503, "1")
    eventually(lambda: len(fleet.changes()) == 2, "it ends, though nobody calls")
    assert fleet.changes() == [
        ("closed", "forced_open", "by command, for 0.8 s"),
        ("forced_open", "closed", "the time of the forcing is over"),
    ]
    assert fleet.get()[0] == 200


def test_forced_closed_lets_everything_pass_whatever_fails(fleet: Fleet) -> None:
    fleet.project.ok("breaker", "close", NAME)
    fleet.break_()
    assert {fleet.get()[0] for _ in range(20)} == {500}
    assert fleet.seen() == 20
    assert set(fleet.states()) == {"forced_closed"}


def test_reset_closes_at_once_and_forgets(fleet: Fleet) -> None:
    fleet.trip()
    fleet.project.ok("breaker", "reset", NAME)
    breaker = fleet.breakers()[NAME]
    assert (breaker["state"], breaker["calls"]) == ("closed", 0)
    assert fleet.get()[0] == 500, "it passes, and fails still"
    assert fleet.changes()[-1] == ("open", "closed", "reset, by command")


def test_one_instance_can_be_taken_out_and_stays_out_over_a_crash(project: Project) -> None:
    fleet = Fleet(project, replicas=2)
    project.ok("breaker", "open", ONE)
    assert [b["state"] for b in fleet.breakers().values()] == ["closed", "forced_open", "closed"]

    def answers() -> set[str]:
        return {fleet.get()[1]["x-msctl-instance"] for _ in range(6)}

    assert answers() == {f"{NAME}-2"}
    os.kill(project.instance(NAME)["pid"], signal.SIGKILL)
    eventually(
        lambda: project.instance(NAME)["generation"] == 2 and project.service(NAME)["ready"] == 2,
        "it runs again",
    )
    assert answers() == {f"{NAME}-2"}
    project.ok("breaker", "auto", ONE)
    assert answers() == {f"{NAME}-1", f"{NAME}-2"}


def test_an_unknown_name_exits_2_with_what_was_meant(fleet: Fleet) -> None:
    for name, meant in [("order", NAME), (f"{NAME}-1", ONE), (f"{NAME}/x-1", ONE)]:
        result = fleet.project.run("breaker", "open", name)
        assert result.code == 2
        assert f"did you mean {meant}?" in result.err
    assert fleet.moves() == []


# Events


def test_a_follower_sees_every_move_and_ends_with_the_fleet(fleet: Fleet) -> None:
    with fleet.project.popen("events", "-f", NAME, "--json") as follower:
        assert follower.stdout is not None
        fleet.project.ok("breaker", "open", ONE)
        while True:
            event = json.loads(follower.stdout.readline())
            if event["kind"] == "breaker":
                break
        assert event.keys() == {"time", "service", "instance", "kind", "from", "to", "reason"}
        assert (event["service"], event["instance"]) == (NAME, f"{NAME}-1")
        assert (event["from"], event["to"]) == ("closed", "forced_open")
        fleet.project.ok("stop")
        rest, _ = follower.communicate(timeout=10)
        assert "stopped" in [json.loads(line)["to"] for line in rest.splitlines()]
        assert follower.returncode == 0


def test_a_follower_ends_at_once_when_its_reader_has_gone(fleet: Fleet) -> None:
    with fleet.project.popen("events", "-f") as follower:
        assert follower.stdout is not None
        follower.stdout.readline()
        follower.stdout.close()
        assert follower.wait(timeout=5) == 0


def test_without_a_fleet_both_exit_4(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    assert project.run("breaker").code == 4
    assert project.run("events").code == 4
