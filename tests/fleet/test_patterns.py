"""Patterns such as `pay*` in the place of services' names."""

import json

from tests.fleet.project import Project, free_port


def test_patterns_name_services_in_every_command(project: Project) -> None:
    project.config({name: {"port": free_port()} for name in ("user", "payment", "payroll")})
    project.ok("up", "pay*")
    running = {s["name"] for s in project.status()["services"] if s["status"] == "running"}
    assert running == {"payment", "payroll"}
    assert project.ok("status", "-q", "*roll", "u?er").out.split() == ["user", "payroll"]
    assert project.ok("status", "--check", "pay*").code == 0
    assert project.run("status", "--check", "*").code == 3
    project.ok("scale", "pay*=2")
    assert {s["replicas"] for s in project.status("pay*")["services"]} == {2}
    assert "payroll-2" in project.ok("logs", "payr*").out
    assert "payment" not in project.ok("logs", "payr*").out
    events = project.ok("events", "--json", "payr*").out.splitlines()
    assert {json.loads(line)["service"] for line in events} == {"payroll"}
    project.ok("breaker", "open", "pay*")
    assert project.run("call", "payroll", "GET", "/x").code == 75
    project.ok("breaker", "auto", "*")
    assert project.ok("call", "payroll", "GET", "/x").code == 0
    project.ok("wait", "pay*")
    project.ok("restart", "pay*")
    project.ok("stop", "*ment")
    assert project.service("payroll")["status"] == "running"
    assert project.service("payment")["status"] == "stopped"
    unknown = project.run("restart", "paz*")
    assert unknown.code == 2
    assert "unknown service paz*" in unknown.err
