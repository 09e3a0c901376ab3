"""Instances come and go with the load, down to none, and no request fails."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from tests.fleet.project import Project, eventually, free_port

SLOW = """
import asyncio
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.1)
    head = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"{}"})
"""
CALLERS = 12


@pytest.fixture
def port(project: Project) -> int:
    project.write("slow.py", SLOW)
    return free_port()


def scalings(project: Project) -> list[tuple[str, str, str]]:
    events = [json.loads(line) for line in project.ok("events", "--json").out.splitlines()]
    return [(e["from"], e["to"], e["reason"]) for e in events if e["kind"] == "scale"]


def replicas(project: Project) -> int:
    number: int = project.service("a")["ready"]
    return number


@contextmanager
def callers(port: int) -> Iterator[list[int]]:
    """Have so many requests under way at any time; yields their statuses."""
    statuses: list[int] = []
    over = Event()

    def call() -> None:
        while not over.is_set():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/slow", timeout=20) as answer:
                statuses.append(answer.status)

    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(call) for _ in range(CALLERS)]
        try:
            yield statuses
        finally:
            over.set()
            for each in running:
                each.result(30)


def test_a_step_of_load_is_followed_up_and_down_without_flapping(
    project: Project, port: int
) -> None:
    scaling = {"max": 4, "target_connections": 4, "up_after": 0.5, "down_after": 1}
    project.config({"a": {"port": port, "app": "slow:app", "scaling": scaling}})
    project.ok("up")
    with callers(port) as statuses:
        eventually(lambda: replicas(project) == 3, "three serve twelve")
    assert set(statuses) == {200}
    eventually(lambda: replicas(project) == 1, "one is enough for nobody")
    told = scalings(project)
    assert [told[0][0], told[-1][1]] == ["1", "1"]
    numbers = [int(before) for before, _, _ in told] + [1]
    peak = numbers.index(max(numbers))
    assert numbers == sorted(numbers[:peak]) + sorted(numbers[peak:], reverse=True)
    assert "above 4 each for 0.5 s" in told[0][2]
    assert "below 4 each for 1 s" in told[-1][2]


def test_the_front_door_holds_a_request_until_somebody_is_there(
    project: Project, port: int
) -> None:
    scaling = {"min": 0, "max": 2, "idle": 0.5}
    project.config({"a": {"port": port, "app": "slow:app", "scaling": scaling}})
    project.ok("up")
    eventually(lambda: project.service("a")["status"] == "stopped", "none is needed")

    async def main() -> list[int]:
        def get() -> int:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                status: int = answer.status
                return status

        return await asyncio.gather(*(asyncio.to_thread(get) for _ in range(5)))

    assert asyncio.run(main()) == [200] * 5
    (up,) = (reason for before, after, reason in scalings(project) if (before, after) == ("0", "1"))
    assert up.endswith("calling, no instance there")
