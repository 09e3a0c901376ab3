"""The checks of a configuration, its ports, its state and its programs."""

import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from msctl.config.models import FleetConfig, GatewayConfig, ServiceConfig
from msctl.errors import Problem
from msctl.runtime.doctor import Finding, Level, Topic, enumerate_names, fail, ok, report, warn
from msctl.runtime.doctor_fleet import (
    ConfigFacts,
    PortFacts,
    ProgramFacts,
    StateFacts,
    check_config,
    check_ports,
    check_programs,
    check_state,
)
from msctl.runtime.doctor_look_fleet import look_at_ports, look_at_programs, look_at_state
from msctl.runtime.portholders import Holder
from msctl.runtime.statedir import StateDir
from tests.runtime.bench import api, fleet_of, worker

NGINX = Holder(4312, "nginx")


def seen(findings: Iterable[Finding]) -> list[tuple[str, str, str]]:
    return [(f.level.value, f.what, f.message) for f in findings]


# The report


def test_a_report_is_grouped_and_counted() -> None:
    document = report(
        [ok(Topic.PORTS, "a", "1"), fail(Topic.PYTHON, "b", "2", "do"), warn(Topic.PORTS, "c", "3")]
    )
    assert [finding["what"] for finding in document["findings"]] == ["b", "a", "c"]
    assert (document["schema_version"], document["healthy"]) == (1, False)
    assert document["counts"] == {"ok": 1, "warn": 1, "fail": 1}
    assert json.loads(json.dumps(document))["findings"][0] == {
        "level": "fail",
        "topic": "python",
        "what": "b",
        "message": "2",
        "hint": "do",
    }


def test_warnings_alone_are_healthy() -> None:
    assert report([warn(Topic.PORTS, "c", "3")])["healthy"] is True


def test_of_very_many_names_not_all_are_written() -> None:
    assert enumerate_names(["a", "b"]) == "a, b"
    assert enumerate_names("abcdefghij") == "a, b, c, d, e, f, g, h and 2 more"


# Configuration


def test_a_configuration_is_there_and_right_or_every_problem_is_told() -> None:
    assert seen(check_config(ConfigFacts(files=["msctl.yaml"], services=1))) == [
        ("ok", "configuration", "msctl.yaml: 1 service, no problems")
    ]
    (missing,) = check_config(ConfigFacts(missing="no configuration here"))
    assert (missing.level, missing.message) == (Level.FAIL, "no configuration here")
    problems = [
        Problem(Path("a.yaml"), 3, "services.a.prot", "unknown key"),
        Problem(Path("b.yaml"), 0, "", "empty"),
    ]
    assert seen(check_config(ConfigFacts(problems=problems))) == [
        ("fail", "a.yaml:3", "services.a.prot: unknown key"),
        ("fail", "b.yaml", "empty"),
    ]


# Ports


def test_ports_are_free_or_ours_or_named_with_their_holder() -> None:
    facts = PortFacts(
        wanted={8001: "user", 8002: "order", 8003: "pay"},
        holders={8001: Holder(7, "msctl"), 8003: NGINX},
        own={7},
    )
    held, own, free = check_ports(facts)
    assert seen([held, own, free]) == [
        ("fail", "pay", "port 8003 is held by pid 4312 (nginx)"),
        ("ok", "this fleet's", "8001"),
        ("ok", "free", "8002"),
    ]
    assert held.hint == "kill 4312, or choose another services.pay.port"


def test_a_port_that_cannot_be_bound_says_why() -> None:
    facts = PortFacts(wanted={80: "web"}, refused={80: "cannot listen: permission denied"})
    assert seen(check_ports(facts)) == [("fail", "web", "cannot listen: permission denied")]


def test_the_gateways_port_fails_only_where_it_is_set() -> None:
    (held,) = check_ports(PortFacts(wanted={9000: "gateway"}, holders={9000: NGINX}))
    assert (held.level, held.hint) == (Level.FAIL, "kill 4312, or choose another gateway.port")
    (taken,) = check_ports(PortFacts(wanted={}, holders={8700: NGINX}, default_gateway=8700))
    assert (taken.level, taken.what) == (Level.WARN, "gateway")
    ours = PortFacts(wanted={}, holders={8700: NGINX}, own={4312}, default_gateway=8700)
    assert not [*check_ports(ours)]


def test_the_ports_of_this_machine_are_looked_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        busy, free = taken.getsockname()[1], probe.getsockname()[1]
        probe.close()
        fleet = fleet_of(
            tmp_path, api("busy", port=busy), api("free", port=free), worker("w"), api("auto")
        )
        facts = look_at_ports(fleet, StateFacts(directory=tmp_path))
        assert facts.wanted == {busy: "busy", free: "free"}
        assert facts.holders[busy].pid == os.getpid()
        assert (free in facts.holders, facts.refused) == (False, {})
        ours = StateFacts(directory=tmp_path, run_pid=os.getpid(), locked=True)
        assert os.getpid() in look_at_ports(fleet, ours).own


def test_a_host_that_is_not_here_cannot_be_bound(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fleet = FleetConfig(
        project="shop",
        project_dir=tmp_path,
        services={"far": ServiceConfig(name="far", port=port, host="192.0.2.1")},
        gateway=GatewayConfig(port=port + 1 if port < 65535 else port - 1),
    )
    facts = look_at_ports(fleet, StateFacts(directory=tmp_path))
    assert facts.refused[port].startswith(f"cannot listen on 192.0.2.1:{port}")
    assert "gateway" in facts.wanted.values()
    assert facts.default_gateway is None


# State

NOTHING = StateFacts(directory=Path("/shop/.msctl"))
DAEMON = replace(NOTHING, run_pid=7, alive=True, locked=True, has_socket=True)


def test_a_daemon_runs_or_does_not() -> None:
    assert seen(check_state(NOTHING)) == [("ok", "daemon", "none runs (msctl up starts it)")]
    assert seen(check_state(replace(DAEMON, answer_ms=1.26))) == [
        ("ok", "daemon", "runs, pid 7; answered in 1.3 ms")
    ]


def test_a_daemon_that_does_not_answer_fails_and_one_that_begins_is_a_warning() -> None:
    (hangs,) = check_state(DAEMON)
    assert (hangs.level, hangs.message) == (Level.FAIL, "pid 7 does not answer")
    assert "/shop/.msctl/daemon.log" in hangs.hint
    (begins,) = check_state(replace(NOTHING, locked=True))
    assert begins.level is Level.WARN


def test_what_dead_daemons_left_is_a_warning() -> None:
    facts = replace(
        NOTHING, run_pid=7, has_socket=True, stale_projects=[Path("/shop/.msctl/projects/x")]
    )
    assert seen(check_state(facts))[1:] == [
        ("warn", "files", "left by a daemon that was killed: run.json of pid 7 and control.sock"),
        ("warn", "projects", "left by dead daemons: x"),
    ]


def test_a_state_directory_is_looked_at(tmp_path: Path) -> None:
    state = StateDir(tmp_path / ".msctl")
    assert look_at_state(state) == StateFacts(directory=state.root)
    state.create()
    run = json.dumps({"pid": os.getpid()})
    state.run_file.write_text(run)
    state.socket.touch()
    for name, content in {"dead": run, "empty": "", "torn": "{"}.items():
        directory = state.root / "projects" / name
        directory.mkdir(parents=True)
        if content:
            (directory / "run.json").write_text(content)
    found = look_at_state(state)
    assert (found.run_pid, found.alive, found.locked, found.has_socket) == (
        os.getpid(),
        True,
        False,
        True,
    )
    assert found.stale_projects == (state.root / "projects" / "dead",)
    lock = state.try_lock()
    assert lock is not None
    try:
        locked = look_at_state(state)
        assert (locked.locked, locked.answer_ms) == (True, None)
    finally:
        os.close(lock)


# Programs


def test_what_is_missing_is_told_with_its_key() -> None:
    programs = [
        ProgramFacts(service="user"),
        ProgramFacts(service="cache", missing=[("command", "redis-serve: no such program")]),
    ]
    found, lost = check_programs(programs)
    assert seen([found, lost]) == [
        ("ok", "found", "user"),
        ("fail", "cache", "redis-serve: no such program"),
    ]
    assert lost.hint.startswith("correct services.cache.command")


def programs(directory: Path, *services: ServiceConfig) -> dict[str, list[str]]:
    found = look_at_programs(fleet_of(directory, *services), os.environ)
    return {each.service: [key for key, _ in each.missing] for each in found}


def test_the_modules_of_applications_are_found_without_importing_them(tmp_path: Path) -> None:
    explosive = "raise SystemExit('imported')\n"
    (tmp_path / "alone.py").write_text(explosive)
    package = tmp_path / "shop" / "api"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "users.py"):
        file.write_text(explosive)
    (tmp_path / "empty").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.py").write_text(explosive)
    assert programs(
        tmp_path,
        api("alone", app="alone:app"),
        api("deep", app="shop.api.users:app"),
        api("package", app="shop.api:app"),
        api("installed", app="uvicorn.main:app"),
        api("other-dir", app="far:app", working_dir=str(elsewhere)),
        api("by-path", app="far:app", environment={"PYTHONPATH": str(elsewhere)}),
        api("lost", app="alon:app"),
        api("too-deep", app="shop.api.orders:app"),
        api("no-package", app="alone.app:app"),
        api("no-file", app="empty:app"),
        api("wrong-dir", app="far:app"),
    ) == {
        "alone": [], "deep": [], "package": [], "installed": [], "other-dir": [], "by-path": [],
        "lost": ["app"], "too-deep": ["app"], "no-package": ["app"], "no-file": ["app"],
        "wrong-dir": ["app"],
    }  # fmt: skip


def test_programs_interpreters_and_directories_are_looked_up(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    (tmp_path / "main.py").write_text("")
    assert programs(tmp_path, worker("there", command="sh -c true"))["there"] == []
    assert programs(tmp_path, worker("own", command="bin/tool"))["own"] == ["command"]
    tool.chmod(0o755)
    env = {"PATH": str(tool.parent)}
    assert programs(
        tmp_path,
        worker("own", command="bin/tool"),
        worker("on-path", command="tool", environment=env),
        worker("variable", command="${TOOL} run"),
        worker("lost", command="no-such-tool"),
        worker("nowhere", command="sh", working_dir="not/there"),
        worker("checked", command="sh", health={"command": "no-such-check"}),
        worker("alive", command="sh", liveness={"command": "no-such-check"}),
        api("python", app="main:app", python=sys.executable),
        api("no-python", app="main:app", python="python0"),
    ) == {
        "own": [], "on-path": [], "variable": [], "lost": ["command"],
        "nowhere": ["working_dir"], "checked": ["health.command"],
        "alive": ["liveness.command"], "python": [], "no-python": ["python"],
    }  # fmt: skip


@pytest.mark.parametrize("python", [None, sys.executable])
def test_another_interpreter_is_asked_itself(tmp_path: Path, python: str | None) -> None:
    keys = {} if python is None else {"python": python}
    assert programs(tmp_path, api("app", app="gone:app", **keys))["app"] == ["app"]
