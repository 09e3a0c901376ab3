"""More and fewer instances under load: nobody outside notices."""

import asyncio
import http.client
import json
from typing import Any

from tests.fleet.apps import MANY
from tests.fleet.pressure import Pressure, pressure
from tests.fleet.project import Project, free_port
from tests.fleet.test_rolling import answer_of


def scale(project: Project, **replicas: int) -> dict[str, Any]:
    return answer_of(project, "/scale", {"replicas": replicas})


def test_scaling_up_and_down_fails_no_request(project: Project) -> None:
    port = free_port()
    project.write("many.py", MANY)
    project.config({"a": {"port": port, "app": "many:app", "replicas": 3}})
    project.ok("up")

    async def main() -> Pressure:
        async with pressure(port) as seen:
            for replicas in (6, 1):
                result = await asyncio.to_thread(scale, project, a=replicas)
                assert result["exit_code"] == 0, result
                assert len(result["status"]["services"][0]["instances"]) == replicas
                await asyncio.sleep(0.5)
        return seen

    seen = asyncio.run(main())
    print(seen)  # noqa: T201  the figures, for whoever runs this with -s
    seen.assert_unnoticed()
    assert len(seen.instances) == 6
    events = [json.loads(line) for line in project.ok("events", "--json").out.splitlines()]
    scaled = [(e["service"], e["from"], e["to"]) for e in events if e["kind"] == "scale"]
    assert scaled == [("a", "3", "6"), ("a", "6", "1")]


def test_a_service_scaled_to_none_answers_that_it_has_no_instances(project: Project) -> None:
    port = free_port()
    project.config({"a": {"port": port}})
    project.ok("up")
    assert scale(project, a=0)["exit_code"] == 0
    assert (project.service("a")["status"], project.service("a")["replicas"]) == ("stopped", 0)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    problem = json.loads(response.read())
    connection.close()
    assert (response.status, problem["reason"]) == (503, "no_instances")
    assert response.getheader("Retry-After")
    project.ok("up")
    assert project.service("a")["ready"] == 1
