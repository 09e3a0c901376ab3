import json
from pathlib import Path
from typing import Any

import pytest

from msctl.render.breaker_table import breaker_lines
from tests.cli.documents import instance, service, status
from tests.cli.fake_daemon import FakeDaemon, respond_json
from tests.cli.terminal import msctl, on_terminal

Json = dict[str, Any]
NOW = 1_767_225_700.0  # 2026-01-01T00:01:40Z


def breaker(service: str, instance: str | None = None, **changes: Any) -> Json:
    return {
        "service": service,
        "instance": instance,
        "enabled": True,
        "state": "closed",
        "reason": "",
        "since": None,
        "until": None,
        "failures_in_a_row": 0,
        "calls": 0,
        "failures": 0,
        "generation": 0,
        **changes,
    }


def document(*breakers: Json) -> Json:
    return {"schema_version": 1, "project": "shop", "breakers": list(breakers)}


ALL = document(
    breaker("user-service", calls=40, failures=3),
    breaker(
        "user-service",
        "user-service-1",
        state="open",
        reason="5 failures in a row",
        since="2026-01-01T00:01:30.500000Z",
        until=4.2,
        generation=3,
    ),
    breaker("order-service", enabled=False),
)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_every_breaker_is_a_row_named_as_the_commands_call_it(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/breakers", respond_json(ALL))
    done = msctl(daemon.project, "breaker")
    assert (done.code, done.err) == (0, "")
    assert [row[:2] for row in rows(done.out)] == [
        ["NAME", "STATE"],
        ["user-service", "closed"],
        ["user-service/user-service-1", "open"],
        ["order-service", "closed"],
    ]


def test_a_row_tells_since_when_how_long_and_why() -> None:
    lines = breaker_lines(ALL, width=None, decorated=False, now=NOW)
    assert [line.split() for line in lines[1:]] == [
        ["user-service", "closed", "-", "-", "0", "3/40"],
        [
            *("user-service/user-service-1", "open", "9s", "5s", "0", "0/0"),
            *("5", "failures", "in", "a", "row"),
        ],
        ["order-service", "closed", "-", "-", "0", "0/0", "breaker:", "off"],
    ]


def test_a_narrow_terminal_still_shows_name_and_state(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/breakers", respond_json(ALL))
    done = on_terminal(daemon.project, ["breaker"], columns=40, env={"NO_COLOR": "1"})
    assert rows(done.out)[2] == ["user-service/user-service-1", "open"]
    assert max(map(len, done.out.splitlines())) <= 40


def test_states_are_coloured_on_a_terminal_only(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/breakers", respond_json(ALL))
    assert "\x1b[31mopen" in on_terminal(daemon.project, ["breaker"]).out
    assert "\x1b" not in msctl(daemon.project, "breaker").out


def test_json_is_the_whole_document(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/breakers", respond_json(ALL))
    assert json.loads(msctl(daemon.project, "breaker", "--json").out) == ALL


@pytest.mark.parametrize("action", ["open", "close", "auto", "reset"])
def test_a_command_shows_the_breakers_that_it_concerned(daemon: FakeDaemon, action: str) -> None:
    concerned = document(breaker("user-service", "user-service-1", state="forced_open"))
    daemon.on("POST", f"/breakers/{action}", respond_json(concerned))
    done = msctl(daemon.project, "breaker", action, "user-service/user-service-1")
    assert (done.code, done.err) == (0, "")
    assert rows(done.out)[1][:2] == ["user-service/user-service-1", "forced_open"]
    body = daemon.request(f"/breakers/{action}").json
    assert body == {"name": "user-service/user-service-1", "for": None}


@pytest.mark.parametrize("arguments", [["--json", "open", "a"], ["open", "a", "--json"]])
def test_json_is_understood_before_and_after_the_command(
    daemon: FakeDaemon, arguments: list[str]
) -> None:
    daemon.on("POST", "/breakers/open", respond_json(document(breaker("a"))))
    assert json.loads(msctl(daemon.project, "breaker", *arguments).out)["schema_version"] == 1


@pytest.mark.parametrize(
    ("time", "seconds"), [("30s", 30), ("5m", 300), ("1.5", 1.5), ("1h30m", 5400), ("0.5s", 0.5)]
)
def test_durations_are_read_as_people_write_them(
    daemon: FakeDaemon, time: str, seconds: float
) -> None:
    daemon.on("POST", "/breakers/open", respond_json(document()))
    assert msctl(daemon.project, "breaker", "open", "a", "--for", time).code == 0
    assert daemon.request("/breakers/open").json == {"name": "a", "for": seconds}


@pytest.mark.parametrize(
    "arguments",
    [
        ["open", "a", "--for", "0"],
        ["open", "a", "--for", "soon"],
        ["open", "a", "--for", "-3s"],
        ["open", "a", "--for", "9" * 400],
        ["auto", "a", "--for", "3s"],
        ["open"],
        ["explode", "a"],
    ],
)
def test_wrong_use_is_2_and_asks_nothing_of_the_daemon(
    daemon: FakeDaemon, arguments: list[str]
) -> None:
    done = msctl(daemon.project, "breaker", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert daemon.requests == []


def test_an_unknown_name_is_2_with_the_nearest(daemon: FakeDaemon) -> None:
    refusal = {"error": "unknown service usr; did you mean user-service?", "nearest": "x"}
    daemon.on("POST", "/breakers/open", respond_json(refusal, status=404))
    done = msctl(daemon.project, "breaker", "open", "usr")
    assert (done.code, done.out) == (2, "")
    assert "did you mean user-service?" in done.err


@pytest.mark.parametrize("arguments", [[], ["open", "user-service"]])
def test_without_a_daemon_it_is_4(project: Path, arguments: list[str]) -> None:
    assert msctl(project, "breaker", *arguments).code == 4


def test_the_file_option_works_in_every_place(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.on("POST", "/breakers/open", respond_json(document()))
    file = str(daemon.project / "msctl.yaml")
    for arguments in (
        ["-f", file, "breaker", "open", "a"],
        ["breaker", "-f", file, "open", "a"],
        ["breaker", "open", "a", "-f", file],
    ):
        assert msctl(tmp_path, *arguments).code == 0


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["user-service", "order-service"]),
        ("or", ["order-service"]),
        ("user-service/", ["user-service/user-service-1", "user-service/user-service-2"]),
        ("user-service/user-service-2", ["user-service/user-service-2"]),
        ("nobody/", []),
    ],
)
def test_names_are_completed(daemon: FakeDaemon, typed: str, offered: list[str]) -> None:
    instances = [instance("user-service-1"), instance("user-service-2")]
    user, order = service("user-service", instances=instances), service("order-service")

    daemon.on(
        "GET",
        "/status",
        lambda request, connection: respond_json(
            status(*([user] if "=user-service" in request.path else [user, order])),
            status=404 if "nobody" in request.path else 200,
        )(request, connection),
    )
    line = f"msctl breaker open {typed}"
    env = {
        "_MSCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": "3",
    }
    assert msctl(daemon.project, env=env).out.split() == offered
