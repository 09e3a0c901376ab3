"""Metrics and the access log of a fleet that runs."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.fleet.project import Project, eventually, free_port
from tests.proxy.scrape import Scrape

SERVICES = {"order-service": {"replicas": 2}, "user-service": {}}


def up(project: Project, **gateway: Any) -> str:
    """Start the fleet; returns the gateway's URL."""
    services = {name: {"port": free_port(), **keys} for name, keys in SERVICES.items()}
    project.config(services, gateway={"port": free_port(), **gateway})
    project.ok("up")
    url: str = project.status()["gateway"]
    return url


def scrape(url: str) -> Scrape:
    response = httpx.get(f"{url}/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Scrape(response.text)


def test_counts_add_up_over_all_ways_in(project: Project) -> None:
    url = up(project)
    door = project.service("order-service")["url"]
    answered: dict[str, float] = {}
    with httpx.Client() as client:
        for target in [f"{url}/order-service/a", f"{door}/b"] * 5:
            response = client.get(target)
            instance = response.headers["x-msctl-instance"]
            answered[instance] = answered.get(instance, 0) + 1
        assert client.get(f"{door}/status/404").status_code == 404
        assert client.get(f"{url}/no-service/x").status_code == 404
    project.ok("call", "user-service", "GET", "/c?password=s3cret")
    found = scrape(url)
    name = "msctl_requests_total"
    assert found.labels(name, "instance", service="order-service", code="200") == answered
    assert set(answered) == {"order-service-1", "order-service-2"}
    assert found.sum(name, service="order-service") == 11
    assert found.labels(name, "code", service="user-service") == {"200": 1}
    assert found.sum("msctl_refusals_total") == 1
    assert found.sum("msctl_request_duration_seconds_count") == found.sum(name) == 13
    assert found.labels("msctl_instance_up", "instance") == {
        "order-service-1": 1,
        "order-service-2": 1,
        "user-service-1": 1,
    }
    assert found.sum("msctl_instance_health", health="healthy") == 3
    assert found.sum("msctl_connections") == found.sum("msctl_requests_in_flight") == 0
    assert found.sum("msctl_breaker_state", state="closed") == 5
    assert not list((project.directory / ".msctl").glob("access.log*")), "off by default"


def test_a_restart_is_counted_and_counters_go_on_over_it(project: Project) -> None:
    url = up(project)
    assert httpx.get(f"{url}/user-service/a").status_code == 200
    os.kill(project.instance("user-service")["pid"], signal.SIGKILL)

    def restarted() -> bool:
        found = scrape(url)
        return (
            found.sum("msctl_instance_restarts_total", service="user-service") == 1
            and found.sum("msctl_instance_health", service="user-service", health="healthy") == 1
        )

    eventually(restarted, "the instance is there again")
    assert httpx.get(f"{url}/user-service/a").status_code == 200
    assert scrape(url).labels("msctl_requests_total", "instance", code="200") == {
        "user-service-1": 2
    }


def test_the_access_log_is_json_lines_apart_from_the_logs(project: Project) -> None:
    url = up(project, access_log=True)
    headers = {"X-Request-Id": "r-1"}
    httpx.get(f"{url}/user-service/a?token=s3cret", headers=headers)
    httpx.get(f"{url}/no-service/x")
    path = project.directory / ".msctl/access.log"
    first, second = eventually(lambda: path.exists() and lines_of(path, 2), "two lines are there")
    assert (first["service"], first["instance"]) == ("user-service", "user-service-1")
    assert (first["method"], first["path"], first["status"]) == ("GET", "/a", 200)
    assert (first["request_id"], first["attempts"], first["client"]) == ("r-1", 1, "127.0.0.1")
    assert (len(first["trace_id"]), first["reason"]) == (32, None)
    assert 0 < first["seconds"] < 30
    assert (second["service"], second["reason"]) == (None, "unknown_service")
    assert "s3cret" not in path.read_text()
    logs = project.ok("logs", "--json").out.splitlines()
    assert {json.loads(line)["service"] for line in logs} == set(SERVICES)


def test_up_switches_the_access_log_on_and_off(project: Project) -> None:
    url = up(project)
    config = project.directory / "msctl.yaml"
    text = config.read_text()
    config.write_text(text.replace("gateway:", "gateway:\n  access_log: true"))
    project.ok("up")
    httpx.get(f"{url}/user-service/on")
    config.write_text(text)
    project.ok("up")
    httpx.get(f"{url}/user-service/off")
    path = project.directory / ".msctl/access.log"
    [line] = eventually(lambda: path.exists() and lines_of(path, 1), "the line is there")
    assert line["path"] == "/on"
    project.ok("stop")
    assert len(path.read_text().splitlines()) == 1


def lines_of(path: Path, count: int) -> list[dict[str, Any]] | None:
    """The lines, when there are as many as that."""
    *whole, _rest = path.read_text().split("\n")
    return [json.loads(line) for line in whole] if len(whole) >= count else None
