"""Several fleets of one directory, side by side."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.project import Project, eventually, free_port, parent_of

CACHE = """
import os, socket, time
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
open(os.path.join(os.environ["MSCTL_DATA_DIR"], "mark"), "w").write(os.environ["MSCTL_PROJECT"])
while True:
    connection, _ = listener.accept()
    connection.sendall(os.environ["MSCTL_PROJECT"].encode())
    connection.close()
"""
ORDER = """
import json, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    names = ("MSCTL_PROJECT", "CACHE_URL", "USER_URL", "MSCTL_GATEWAY_URL", "MSCTL_DATA_DIR")
    body = json.dumps({name: os.environ.get(name) for name in names}).encode()
    if scope["path"] == "/log":
        print("a word of", os.environ["MSCTL_PROJECT"], flush=True)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def shop(project: Project) -> Project:
    """Three services: one that binds its port itself, one that is asked, one that asks."""
    project.write("cache.py", CACHE)
    project.write("order.py", ORDER)
    cache = {
        "service_type": "cache",
        "port": free_port(),
        "command": [sys.executable, "cache.py"],
    }
    project.config(
        {
            "cache": cache,
            "user": {"port": free_port()},
            "order": {
                "port": free_port(),
                "app": "order:app",
                "dependencies": ["cache", "user"],
            },
        }
    )
    return project


def service(project: Project, fleet: str | None, name: str) -> dict[str, Any]:
    chosen = ("-p", fleet) if fleet else ()
    document = project.ok(*chosen, "status", "--json").json()
    assert document["project"] == (fleet or "shop")
    return next(each for each in document["services"] if each["name"] == name)


def said_by(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        return connection.recv(100).decode()


def facts(project: Project, fleet: str) -> dict[str, Any]:
    found: dict[str, Any] = project.ok("-p", fleet, "call", "order", "GET", "/").json()
    return found


def test_one_fleet_runs_three_times_from_one_directory(shop: Project) -> None:
    shop.ok("up")
    for name in ("shop-2", "shop-3"):
        up = shop.ok("up", "--isolated")
        assert f"isolated as {name}; reach it with: msctl -p {name} status" in up.err
        assert f"stop: msctl -p {name} stop" in up.err
        assert str(service(shop, name, "order")["url"]) in up.out
    fleets = ("shop", "shop-2", "shop-3")
    ports = {service(shop, f, s)["port"] for f in fleets for s in ("cache", "user", "order")}
    assert len(ports) == 9
    for name in fleets:
        told = facts(shop, name)
        cache, user = (service(shop, name, each) for each in ("cache", "user"))
        assert told["MSCTL_PROJECT"] == name
        assert (told["CACHE_URL"], told["USER_URL"]) == (cache["url"], user["url"])
        assert said_by(cache["port"]) == name
        data = Path(told["MSCTL_DATA_DIR"]).parent
        assert (data / "cache" / "mark").read_text() == name
        shop.ok("-p", name, "call", "order", "GET", "/log")
        logged = shop.ok("-p", name, "logs", "order", "--no-prefix").out
        assert [line for line in logged.splitlines() if "a word" in line] == [f"a word of {name}"]
    assert len({facts(shop, name)["MSCTL_GATEWAY_URL"] for name in fleets}) == 3

    shop.ok("-p", "shop-2", "stop")
    assert shop.run("-p", "shop-2", "status").code == 4
    assert facts(shop, "shop-3")["MSCTL_PROJECT"] == "shop-3"
    shop.ok("stop")
    shop.ok("-p", "shop-3", "status", "--check")
    assert "a word of shop-2" in shop.ok("-p", "shop-2", "logs").out
    shop.ok("-p", "shop-3", "stop")
    shop.assert_nothing_left([*ports])


def test_two_at_the_same_moment_get_different_names(shop: Project) -> None:
    starting = [shop.popen("up", "--isolated") for _ in range(3)]
    for process in starting:
        assert process.communicate(timeout=60)[1], "it says its name"
        assert process.returncode == 0
    running = [p for p in shop.ok("projects", "--json").json()["projects"] if p["running"]]
    assert [p["name"] for p in running] == ["shop-2", "shop-3", "shop-4"]
    assert all(p["isolated"] and p["running_services"] == 3 for p in running)
    for fleet in running:
        shop.ok("-p", fleet["name"], "stop")
    shop.assert_nothing_left()


def test_an_isolated_fleet_stays_so_and_keeps_its_ports(shop: Project) -> None:
    shop.ok("-p", "ci", "up", "--isolated")
    before = {name: service(shop, "ci", name)["port"] for name in ("cache", "user", "order")}
    pids = {name: service(shop, "ci", name)["instances"][0]["pid"] for name in before}
    assert "3 unchanged" in shop.ok("-p", "ci", "up").err
    assert "3 unchanged" in shop.ok("-p", "ci", "up", "--isolated").err
    assert {n: service(shop, "ci", n)["instances"][0]["pid"] for n in before} == pids
    shop.ok("-p", "ci", "restart")
    shop.ok("-p", "ci", "scale", "user=2")
    assert {name: service(shop, "ci", name)["port"] for name in before} == before
    assert facts(shop, "ci")["USER_URL"] == f"http://localhost:{before['user']}"
    shop.ok("up")  # whose ports are all free
    assert shop.run("-p", "shop", "up", "--isolated").code == 2
    shop.ok("stop")
    shop.ok("-p", "ci", "stop")
    shop.assert_nothing_left()


def test_under_another_name_the_ports_are_those_of_the_configuration(shop: Project) -> None:
    shop.ok("-p", "ci", "up", "user")
    port = service(shop, "ci", "user")["port"]
    refused = shop.run("up")
    assert refused.code == 1
    assert f"user: port {port} is in use by pid" in refused.err
    shop.ok("stop")  # there is nothing to stop, and the other one goes on
    assert service(shop, "ci", "user")["status"] == "running"
    shop.ok("stop", "--project", "ci")
    shop.assert_nothing_left([port])


def test_a_name_as_long_as_one_may_be_works_with_every_command(shop: Project) -> None:
    name = "x" * 63
    shop.ok("-p", name, "up", "user", "--isolated")
    path = shop.directory / ".msctl/projects" / name / "control.sock"
    assert path.exists()
    assert len(os.fsencode(path)) > 107
    assert shop.ok("-p", name, "call", "user", "GET", "/x").json()["path"] == "/x"
    shop.ok("-p", name, "wait", "user")
    assert "healthy" in shop.ok("-p", name, "events").out
    shop.ok("-p", name, "scale", "user=2")
    shop.ok("-p", name, "doctor")
    shop.ok("-p", name, "breaker")
    assert "nothing is wrong" in shop.ok("-p", name, "why", "user").out
    shop.ok("-p", name, "stop")
    shop.assert_nothing_left()


def test_an_instance_that_runs_msctl_means_its_own_fleet(
    shop: Project, new_project: Callable[[str], Project]
) -> None:
    other = new_project("other")
    other.config({"alone": {"port": free_port()}})
    shop.ok("up", "user", "--isolated")
    environ = {
        key: value
        for pair in Path(f"/proc/{service(shop, 'shop-2', 'user')['instances'][0]['pid']}/environ")
        .read_text()
        .split("\0")
        if (key := pair.partition("=")[0]).startswith("MSCTL_")
        for value in [pair.partition("=")[2]]
    }
    shop.environ.update(environ)
    assert shop.ok("status", "--json").json()["project"] == "shop-2"
    other.environ.update(environ)
    assert other.run("status").code == 4
    shop.ok("stop")
    shop.assert_nothing_left()


def test_projects_shows_all_and_forgets_what_was_killed(shop: Project) -> None:
    listing = shop.ok("projects").out.splitlines()
    assert [line.split() for line in listing[1:]] == [["shop", "stopped", "-", "0/3", "-"]]
    shop.ok("up", "user", "--isolated")
    document = shop.ok("projects", "--json").json()
    assert document["schema_version"] == 1
    first, second = document["projects"]
    assert (first["name"], first["running"]) == ("shop", False)
    assert (second["name"], second["running"], second["isolated"]) == ("shop-2", True, True)
    assert (second["running_services"], second["total_services"]) == (1, 3)
    assert second["gateway"].startswith("http://127.0.0.1:")
    run_file = shop.directory / ".msctl/projects/shop-2/run.json"
    assert second["started_at"] == json.loads(run_file.read_text())["started_at"]
    daemon = json.loads(run_file.read_text())["pid"]
    for pid in (parent_of(daemon), daemon):
        os.kill(pid, signal.SIGKILL)
    shop.clean_up()
    eventually(lambda: not shop.processes(), "all of it is dead")
    assert run_file.exists()
    assert [p["running"] for p in shop.ok("projects", "--json").json()["projects"]] == [False] * 2
    assert not run_file.exists()


def test_the_plan_of_an_isolated_fleet_names_no_ports(shop: Project) -> None:
    plan = shop.ok("up", "--isolated", "--dry-run").out
    assert "localhost" not in plan
    assert not (shop.directory / ".msctl").exists()
