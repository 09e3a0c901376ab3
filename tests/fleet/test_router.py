"""The data path under real faults: kills, hangs, failing instances, big bodies, streams."""

import asyncio
import base64
import hashlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fleet.apps import MANY, WEBSOCKET
from tests.fleet.load import Answer, Connection, connected, resident, slowest
from tests.fleet.project import Project, free_port

CONNECTIONS = 20
REQUESTS = 20_000
"""Some seconds' worth; benchmarks/soak.py makes six times as many."""
MEGABYTE = 1_000_000


@pytest.fixture
def port(project: Project) -> int:
    """The front door of a service `a` that is not started yet; see `up`."""
    project.write("many.py", MANY)
    return free_port()


def up(project: Project, port: int, *, replicas: int = 3, **keys: Any) -> None:
    project.config({"a": {"port": port, "app": "many:app", "replicas": replicas, **keys}})
    project.ok("up")


def load(
    port: int, send: Callable[[Connection, int], Awaitable[Answer]], disturb: Callable[[], None]
) -> list[list[Answer]]:
    """Send REQUESTS requests on CONNECTIONS connections; `disturb` after a quarter of them.

    Returns the answers of each connection, in order.
    """
    done = 0

    async def one_connection(first: int) -> list[Answer]:
        nonlocal done
        answers = []
        async with connected(port) as connection:
            for number in range(first, REQUESTS, CONNECTIONS):
                answers.append(await send(connection, number))
                done += 1
                if done == REQUESTS // 4:
                    disturb()
        return answers

    async def all_connections() -> list[list[Answer]]:
        return await asyncio.gather(*map(one_connection, range(CONNECTIONS)))

    return asyncio.run(all_connections())


def kill(project: Project, number: int) -> Callable[[], None]:
    pid = project.instance("a", number)["pid"]
    return lambda: os.kill(pid, signal.SIGKILL)


def test_no_get_fails_when_one_of_three_instances_is_killed(project: Project, port: int) -> None:
    up(project, port)

    async def get(connection: Connection, number: int) -> Answer:
        answer = await connection.request("GET", f"/echo/{number}")
        assert answer.status != 200 or answer.json() == str(number)
        return answer

    per_connection = load(port, get, kill(project, 2))
    answers = [answer for each in per_connection for answer in each]
    assert [answer for answer in answers if answer.status != 200] == []
    assert len(answers) == REQUESTS


def test_only_posts_in_flight_on_a_killed_instance_fail_and_none_runs_twice(
    project: Project, port: int
) -> None:
    up(project, port)

    async def post(connection: Connection, number: int) -> Answer:
        return await connection.request("POST", "/record", str(number).encode())

    per_connection = load(port, post, kill(project, 2))
    executed = Counter((project.directory / "executed").read_text().split())
    assert set(executed.values()) == {1}
    succeeded = set()
    for first, answers in enumerate(per_connection):
        failed = [answer for answer in answers if answer.status != 200]
        # What is sent after the kill is refused there, and so sent to another one.
        assert len(failed) <= 1, f"connection {first} had more than one request in flight"
        for answer in failed:
            assert (answer.status, answer.json()["reason"]) == (502, "upstream_reset")
            assert answer.fields["x-msctl-instance"] == "a-2"
        ok = (at for at, answer in enumerate(answers) if answer.status == 200)
        succeeded |= {str(first + at * CONNECTIONS) for at in ok}
    assert succeeded <= executed.keys()


class Steady:
    """Fifty GETs a second, each on a connection of its own, as long as somebody waits."""

    def __init__(self, port: int, group: asyncio.TaskGroup) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._group = group

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"not within 20 s: {what}"
            self._group.create_task(self._get())
            await asyncio.sleep(0.02)

    def answered_by(self, instance: str) -> int:
        return sum(answer.fields.get("x-msctl-instance") == instance for answer in self.answers)

    async def _get(self) -> None:
        async with connected(self._port) as connection:
            self.answers.append(await connection.request("GET", "/echo"))


def test_a_frozen_instance_costs_no_get_and_returns_when_it_thaws(
    project: Project, port: int
) -> None:
    # The breaker's shortest wait, 5 s by default, only makes this test longer.
    up(project, port, breaker={"timeout": 1})
    victim = project.instance("a", 3)["pid"]

    async def story() -> list[Answer]:
        async with asyncio.TaskGroup() as group:
            steady = Steady(port, group)
            await steady.until(lambda: steady.answered_by("a-3") > 0, "it takes part")
            os.kill(victim, signal.SIGSTOP)
            try:
                await steady.until(lambda: slowest(steady.answers) > 3, "its calls have moved")
            finally:
                os.kill(victim, signal.SIGCONT)
            before = steady.answered_by("a-3")
            await steady.until(lambda: steady.answered_by("a-3") > before, "it takes part again")
        return steady.answers

    answers = asyncio.run(story())
    assert Counter(answer.status for answer in answers).keys() == {200}
    assert slowest(answers) < 6


@pytest.mark.parametrize(("status", "most"), [(500, 6), (503, 0)])
def test_an_instance_that_always_fails_is_taken_out(
    project: Project, port: int, status: int, most: int
) -> None:
    up(project, port)

    async def calls() -> list[Answer]:
        async with connected(port) as connection:
            return [await connection.request("GET", f"/fail/a-1/{status}") for _ in range(300)]

    answers = asyncio.run(calls())
    failed = [answer for answer in answers if answer.status != 200]
    assert len(failed) <= most
    service = project.service("a")
    assert service["breaker"]["state"] == "closed"
    assert [one["breaker"]["state"] for one in service["instances"]] == ["open", "closed", "closed"]


def test_an_event_stream_passes_event_by_event(project: Project, port: int) -> None:
    up(project, port, replicas=1)

    async def story() -> None:
        async with connected(port) as stream, connected(port) as other, asyncio.timeout(20):
            stream.send("GET", "/events")
            status, fields = await stream.head()
            assert (status, fields["content-type"]) == (200, "text/event-stream")
            await stream.reader.readuntil(b"data: one\n\n")
            await other.request("POST", "/release")
            await stream.reader.readuntil(b"data: two\n\n")

    asyncio.run(story())


def test_a_websocket_passes_both_ways(project: Project) -> None:
    port = free_port()
    project.write("socket_echo.py", WEBSOCKET)
    project.config({"a": {"port": port, "command": [sys.executable, "socket_echo.py"]}})
    project.ok("up")
    key = base64.b64encode(b"sixteen bytes...").decode()
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()

    async def story() -> None:
        async with connected(port) as connection, asyncio.timeout(20):
            connection.send(
                "GET",
                "/",
                "Connection: keep-alive, Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                f"Sec-WebSocket-Key: {key}",
            )
            status, fields = await connection.head()
            assert (status, fields["upgrade"].lower()) == (101, "websocket")
            assert fields["sec-websocket-accept"] == base64.b64encode(digest).decode()
            for text in (b"hello", b"and again"):
                masked = bytes(byte ^ 0x55 for byte in text)
                connection.writer.write(bytes((0x81, 0x80 | len(text))) + b"\x55" * 4 + masked)
                frame = await connection.reader.readexactly(2 + len(text))
                assert frame == bytes((0x81, len(text))) + text

    asyncio.run(story())


def test_a_slow_reader_of_a_big_response_costs_the_daemon_no_memory(
    project: Project, port: int
) -> None:
    up(project, port, replicas=1)
    size, daemon = 100 * MEGABYTE, project.daemon_pid()

    async def story() -> int:
        async with connected(port) as slow, connected(port) as other, asyncio.timeout(60):
            before = resident(daemon)
            slow.send("GET", f"/download/{size}")
            await slow.head()
            await until_still(other)
            grown = resident(daemon) - before
            left = size
            while left:
                piece = await slow.reader.read(left)
                assert piece, f"ended {left} bytes early"
                left -= len(piece)
        return grown

    assert asyncio.run(story()) < 16 * MEGABYTE


async def until_still(other: Connection) -> None:
    """Wait until the instance can send no more; what it has sent is in the kernel's buffers."""
    sent, at = -1, time.monotonic()
    while time.monotonic() < at + 0.3:
        now = (await other.request("GET", "/moved")).json()
        if now != sent:
            sent, at = now, time.monotonic()
        await asyncio.sleep(0.01)
    assert 0 < sent < 50 * MEGABYTE


def test_a_big_upload_to_a_slow_service_costs_the_daemon_no_memory(
    project: Project, port: int
) -> None:
    up(project, port, replicas=1)
    size, daemon = 100 * MEGABYTE, project.daemon_pid()

    async def story() -> int:
        async with connected(port) as slow, connected(port) as other, asyncio.timeout(60):
            before = resident(daemon)
            slow.send("POST", "/upload", f"Content-Length: {size}")
            sending = asyncio.create_task(send_zeros(slow, size))
            await asyncio.wait((sending,), timeout=1)
            assert not sending.done(), "somebody has kept it all"
            grown = resident(daemon) - before
            await other.request("POST", "/release")
            await sending
            await slow.head()
            assert int(await slow.reader.readexactly(len(str(size)))) == size
        return grown

    assert asyncio.run(story()) < 16 * MEGABYTE


async def send_zeros(connection: Connection, size: int) -> None:
    piece = bytes(50_000)
    for _ in range(0, size, len(piece)):
        connection.writer.write(piece)
        await connection.writer.drain()
