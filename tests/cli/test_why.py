import json
from pathlib import Path
from typing import Any

import pytest

from msctl.render.why_text import why_lines
from tests.cli.fake_daemon import FakeDaemon, respond_json
from tests.cli.terminal import msctl, on_terminal

Json = dict[str, Any]


def step(service: str, what: str, **changes: Any) -> Json:
    return {
        "service": service,
        "instance": None,
        "what": what,
        "evidence": [],
        "hint": "",
        **changes,
    }


def document(*chain: Json) -> Json:
    return {
        "schema_version": 1,
        "project": "shop",
        "service": "order-service",
        "instance": None,
        "chain": list(chain),
    }


CHAIN = document(
    step("order-service", "unhealthy for 41 s: 0 of 1 instance ready"),
    step(
        "order-service",
        "its health check answered 503: db refused",
        instance="order-service-1",
        hint="msctl logs order-service-1",
    ),
    step(
        "database",
        "exited with code 1",
        instance="database-1",
        evidence=["pid 7 ran for 3 s", "given up: restart: no"],
        hint="msctl start database",
    ),
    step("database", "port 5432 is held by pid 4312 (postgres)"),
)
LINES = [
    "order-service: unhealthy for 41 s: 0 of 1 instance ready",
    "  ← order-service-1: its health check answered 503: db refused",
    "    ← database-1: exited with code 1",
    "        | pid 7 ran for 3 s",
    "        | given up: restart: no",
    "      ← database: port 5432 is held by pid 4312 (postgres)",
    "what to do: msctl start database",
]


def test_each_cause_is_below_what_it_causes_and_the_last_hint_ends_it(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/why", respond_json(CHAIN))
    done = msctl(daemon.project, "why", "order-service")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == LINES
    assert daemon.requests[-1].path == "/why?service=order-service"


def test_an_instance_is_asked_for_by_its_name(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/why", respond_json(CHAIN))
    assert msctl(daemon.project, "why", "order-service/order-service-1").code == 0
    assert daemon.requests[-1].path == "/why?service=order-service%2Forder-service-1"


def test_json_is_the_whole_document(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/why", respond_json(CHAIN))
    assert json.loads(msctl(daemon.project, "why", "order-service", "--json").out) == CHAIN


def test_colour_is_for_terminals_only(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/why", respond_json(CHAIN))
    assert "\x1b[1morder-service-1\x1b[0m" in on_terminal(daemon.project, ["why", "order"]).out
    assert "\x1b" not in msctl(daemon.project, "why", "order").out


def test_what_programs_wrote_cannot_control_the_terminal() -> None:
    nasty = document(step("a", "its last line: \x1b[2J", evidence=["a\nb\x07"]))
    assert why_lines(nasty, decorated=False) == ["a: its last line:  [2J", "    | a b"]


def test_an_unknown_name_is_2_with_the_nearest(daemon: FakeDaemon) -> None:
    refusal = {"error": "unknown service ordr; did you mean order-service?", "nearest": "x"}
    daemon.on("GET", "/why", respond_json(refusal, status=404))
    done = msctl(daemon.project, "why", "ordr")
    assert (done.code, done.out) == (2, "")
    assert "did you mean order-service?" in done.err


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_it_takes_one_name(project: Path, arguments: list[str]) -> None:
    assert msctl(project, "why", *arguments).code == 2


def write_log(project: Path, instance: str, *lines: str) -> None:
    logs = project / ".msctl" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    text = "".join(f"2026-01-01T00:00:00.000000Z {line}\n" for line in lines)
    (logs / f"{instance}.log").write_text(text)


def test_without_a_daemon_it_is_4_and_the_last_run_is_told(project: Path) -> None:
    write_log(
        project,
        "user-service-1",
        "msctl started, pid 7",
        "stderr no DSN",
        "msctl exited with code 1",
        "msctl given up: exited with code 1 (it was never healthy)",
    )
    done = msctl(project, "why", "order-service")
    assert done.code == 4
    assert done.out.splitlines()[0] == "order-service: not running: no fleet is running here"
    assert 'user-service-1: its last line: "no DSN"' in done.out
    assert "msctl up" in done.err
    told = json.loads(msctl(project, "why", "user-service", "--json").out)
    assert told["chain"][-1]["what"] == 'its last line: "no DSN"'


def test_without_a_daemon_an_unknown_name_and_a_bad_config_are_2(project: Path) -> None:
    done = msctl(project, "why", "user")
    assert (done.code, done.out) == (2, "")
    assert "did you mean user-service?" in done.err
    (project / "msctl.yaml").write_text("services: {a: {prot: 1}}")
    done = msctl(project, "why", "a")
    assert done.code == 2
    assert "services.a.prot" in done.err
